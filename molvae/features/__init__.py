"""Molecules as arrays: featurizers, and features on disk."""

from molvae.features.featurizer import DecodableFeaturizer, Features, Featurizer
from molvae.features.store import FeatureStore, FeatureWriter
from molvae.features.tokens import TokenFeaturizer
from molvae.features.views import FeatureSettings, learn_featurizer, load_featurizer

__all__ = [
    "DecodableFeaturizer",
    "FeatureSettings",
    "FeatureStore",
    "FeatureWriter",
    "Features",
    "Featurizer",
    "TokenFeaturizer",
    "learn_featurizer",
    "load_featurizer",
]
