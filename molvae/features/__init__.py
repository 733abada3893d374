"""Molecules as arrays."""

from molvae.features.featurizer import DecodableFeaturizer, Features, Featurizer
from molvae.features.store import FeatureStore, FeatureWriter
from molvae.features.tokens import TokenFeaturizer

__all__ = ["DecodableFeaturizer", "FeatureStore", "FeatureWriter", "Features", "Featurizer", "TokenFeaturizer"]
