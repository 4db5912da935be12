/* Writes down when a server writes to its append-only file, syncs it, and answers a client.
   Loaded into the server by fsync_window.py. One line per event: ns, kind, bytes or descriptor.
     W bytes   written to the append-only file      R 0   written to a client
     S fd, D fd   a sync of that file begins, is done */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static void note(char kind, long value) {
  static int log = -1;
  if (log < 0) {
    const char *path = getenv("PINE_FSYNC_LOG");
    if (!path) return;
    log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  char line[64];
  int n = snprintf(line, sizeof line, "%ld %c %ld\n", now.tv_sec * 1000000000L + now.tv_nsec, kind, value);
  syscall(SYS_write, log, line, n);
}

static int is_socket(int fd) {
  struct stat about;
  return fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode);
}

static int is_log(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = 0;
  return strstr(path, ".incr.aof") != NULL;
}

static void written(int fd, ssize_t n) {
  if (n <= 0) return;
  if (is_socket(fd)) note('R', 0);
  else if (is_log(fd)) note('W', n);
}

ssize_t write(int fd, const void *data, size_t size) {
  static ssize_t (*real)(int, const void *, size_t);
  if (!real) real = dlsym(RTLD_NEXT, "write");
  /* A reply is noted before it leaves, a write to the file after: in doubt against the server. */
  int reply = is_socket(fd);
  if (reply) note('R', 0);
  ssize_t n = real(fd, data, size);
  if (!reply) written(fd, n);
  return n;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  static ssize_t (*real)(int, const struct iovec *, int);
  if (!real) real = dlsym(RTLD_NEXT, "writev");
  int reply = is_socket(fd);
  if (reply) note('R', 0);
  ssize_t n = real(fd, parts, count);
  if (!reply) written(fd, n);
  return n;
}

static int synced(int fd, const char *name) {
  int (*real)(int) = dlsym(RTLD_NEXT, name);
  if (!is_log(fd)) return real(fd);
  note('S', fd);
  const char *slow = getenv("PINE_FSYNC_SLOW_MS");
  if (slow) usleep(atoi(slow) * 1000);
  int result = real(fd);
  if (result == 0) note('D', fd);
  return result;
}

int fdatasync(int fd) { return synced(fd, "fdatasync"); }
int fsync(int fd) { return synced(fd, "fsync"); }
