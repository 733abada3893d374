/* A library for LD_PRELOAD that injects faults into system calls, by the path of the file.

   FAULTS holds one fault per line: EVENT ACTION ARGUMENT SKIP PATTERN
     EVENT     open (for writing), read (open for reading), write, fsync, rename (by the new name), lock
     ACTION    errno: the call fails with ARGUMENT; full: the file system is filled up to ARGUMENT bytes;
               stop or kill: SIGSTOP or SIGKILL to this process, once
     SKIP      how many calls (write: bytes) succeed before
     PATTERN   as for fnmatch, of the absolute path
   Each injected fault is appended to the file FAULTS_LOG.
   FAULTS_CLOCK names a file with a double: seconds that are added to the clock. It may change at any time. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MAX_FAULTS 16
#define REAL(type, name) ((type)dlsym(RTLD_NEXT, name))

struct fault {
    char event[16], action[16], pattern[PATH_MAX];
    long argument, skip;
    atomic_long n;
};

static struct fault faults[MAX_FAULTS];
static int n_faults;
static char log_path[PATH_MAX];
static const double *offset;
static __thread int is_inside;

__attribute__((constructor)) static void start(void) {
    const char *text = getenv("FAULTS"), *log = getenv("FAULTS_LOG"), *clock = getenv("FAULTS_CLOCK");
    if (log) snprintf(log_path, sizeof log_path, "%s", log);
    for (; text && *text && n_faults < MAX_FAULTS; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : "") {
        struct fault *one = &faults[n_faults];
        if (sscanf(text, "%15s %15s %ld %ld %4095[^\n]", one->event, one->action, &one->argument, &one->skip,
                   one->pattern) == 5)
            n_faults++;
    }
    if (clock) {
        int file = open(clock, O_RDONLY);
        void *page = mmap(NULL, sizeof(double), PROT_READ, MAP_SHARED, file, 0);
        if (page != MAP_FAILED) offset = page;
        close(file);
    }
}

/* Whether this process tree injected the fault for the first time. */
static int note(const struct fault *one) {
    char line[PATH_MAX + 64], content[65536];
    int length = snprintf(line, sizeof line, "%s %s %s\n", one->event, one->action, one->pattern);
    int file = open(log_path, O_RDWR | O_CREAT | O_APPEND, 0600);
    if (file < 0) return 0;
    ssize_t size = pread(file, content, sizeof content - 1, 0);
    content[size < 0 ? 0 : size] = 0;
    int is_first = strstr(content, line) == NULL;
    if (is_first) is_first = REAL(ssize_t(*)(int, const void *, size_t), "write")(file, line, length) == length;
    close(file);
    return is_first;
}

static void fill(const char *path, long left) {
    char folder[PATH_MAX], ballast[PATH_MAX + 16];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = 0;
    struct statvfs room;
    statvfs(folder, &room);
    snprintf(ballast, sizeof ballast, "%s/ballast", getenv("FAULTS_MOUNT"));
    int file = open(ballast, O_WRONLY | O_CREAT, 0600);
    long size = (long)(room.f_bavail * room.f_frsize) - left;
    if (size > 0 && posix_fallocate(file, 0, size)) abort();
    close(file);
}

/* The error of a call, or 0: bytes is what a call of write writes, else 1. */
static int fault_of(const char *event, const char *path, long bytes) {
    if (is_inside || !n_faults) return 0;
    is_inside = 1;
    int error = 0, before = errno;
    for (int i = 0; i < n_faults && !error; i++) {
        struct fault *one = &faults[i];
        if (strcmp(one->event, event) || fnmatch(one->pattern, path, 0)) continue;
        if (atomic_fetch_add(&one->n, bytes) + bytes <= one->skip) continue;
        int is_first = note(one);
        if (!strcmp(one->action, "errno")) error = (int)one->argument;
        else if (is_first && !strcmp(one->action, "full")) fill(path, one->argument);
        else if (is_first && !strcmp(one->action, "stop")) raise(SIGSTOP);
        else if (is_first && !strcmp(one->action, "kill")) raise(SIGKILL);
    }
    errno = before;
    is_inside = 0;
    return error;
}

static int fault_of_name(const char *event, int folder, const char *name) {
    char path[2 * PATH_MAX], base[PATH_MAX] = "", link[64];
    if (!n_faults || !name) return 0;
    if (*name != '/') {
        snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, base, sizeof base - 1);
        base[length < 0 ? 0 : length] = 0;
    }
    snprintf(path, sizeof path, "%s%s%s", base, *base ? "/" : "", name);
    return fault_of(event, path, 1);
}

static int fault_of_file(const char *event, int file, long bytes) {
    char path[PATH_MAX], link[64];
    if (!n_faults || is_inside) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return fault_of(event, path, bytes);
}

#define FAIL_IF(call, result) do { int error = call; if (error) { errno = error; return result; } } while (0)
#define EVENT(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT) ? "open" : "read")

#define OPEN(name)                                                                      \
    int name(const char *path, int flags, ...) {                                        \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        FAIL_IF(fault_of_name(EVENT(flags), AT_FDCWD, path), -1);                       \
        return REAL(int (*)(const char *, int, ...), #name)(path, flags, mode);         \
    }
#define OPENAT(name)                                                                    \
    int name(int folder, const char *path, int flags, ...) {                            \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        FAIL_IF(fault_of_name(EVENT(flags), folder, path), -1);                         \
        return REAL(int (*)(int, const char *, int, ...), #name)(folder, path, flags, mode); \
    }
#define FCNTL(name)                                                                     \
    int name(int file, int command, ...) {                                              \
        va_list rest; va_start(rest, command); void *argument = va_arg(rest, void *); va_end(rest); \
        if (command == F_SETLK || command == F_SETLKW) FAIL_IF(fault_of_file("lock", file, 1), -1); \
        return REAL(int (*)(int, int, ...), #name)(file, command, argument);            \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
FCNTL(fcntl)
FCNTL(fcntl64)

ssize_t write(int file, const void *data, size_t size) {
    FAIL_IF(fault_of_file("write", file, (long)size), -1);
    return REAL(ssize_t(*)(int, const void *, size_t), "write")(file, data, size);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t where) {
    FAIL_IF(fault_of_file("write", file, (long)size), -1);
    return REAL(ssize_t(*)(int, const void *, size_t, off64_t), "pwrite64")(file, data, size, where);
}

ssize_t writev(int file, const struct iovec *parts, int n) {
    long size = 0;
    for (int i = 0; i < n; i++) size += (long)parts[i].iov_len;
    FAIL_IF(fault_of_file("write", file, size), -1);
    return REAL(ssize_t(*)(int, const struct iovec *, int), "writev")(file, parts, n);
}

size_t fwrite(const void *data, size_t size, size_t n, FILE *file) { /* numpy writes arrays with it */
    FAIL_IF(fault_of_file("write", fileno(file), (long)(size * n)), 0);
    return REAL(size_t(*)(const void *, size_t, size_t, FILE *), "fwrite")(data, size, n, file);
}

int fsync(int file) {
    FAIL_IF(fault_of_file("fsync", file, 1), -1);
    return REAL(int (*)(int), "fsync")(file);
}

int rename(const char *from, const char *to) {
    FAIL_IF(fault_of_name("rename", AT_FDCWD, to), -1);
    return REAL(int (*)(const char *, const char *), "rename")(from, to);
}

int renameat(int folder, const char *from, int target, const char *to) {
    FAIL_IF(fault_of_name("rename", target, to), -1);
    return REAL(int (*)(int, const char *, int, const char *), "renameat")(folder, from, target, to);
}

int flock(int file, int operation) {
    FAIL_IF(fault_of_file("lock", file, 1), -1);
    return REAL(int (*)(int, int), "flock")(file, operation);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = REAL(int (*)(clockid_t, struct timespec *), "clock_gettime")(clock, now);
    if (!result && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        long nanoseconds = now->tv_nsec + (long)((*offset - (double)(long)*offset) * 1e9);
        now->tv_sec += (long)*offset + (nanoseconds >= 1000000000) - (nanoseconds < 0);
        now->tv_nsec = (nanoseconds + 1000000000) % 1000000000;
    }
    return result;
}

time_t time(time_t *place) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (place) *place = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *place, void *zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    place->tv_sec = now.tv_sec;
    place->tv_usec = now.tv_nsec / 1000;
    return 0;
}
