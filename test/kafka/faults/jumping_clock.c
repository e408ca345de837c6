/* Shift the wall clock of processes that run with this library in LD_PRELOAD.
 *
 * The file JUMPING_CLOCK contains the shift in seconds, as eight bytes. As with a real clock, the
 * monotonic clock does not change. (libfaketime takes a lock in each call, which slows the JVM to a
 * crawl; if it leaves the monotonic clock alone, it breaks Python's sleep.)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static const int64_t none = 0;
static const volatile int64_t *ahead = &none;

__attribute__((constructor)) static void map(void) {
    const char *path = getenv("JUMPING_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED)
        ahead = mapped;
    if (file >= 0)
        close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *ahead;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now)
        *now = precise.tv_sec;
    return precise.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
    return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, now) ? base : 0;
}

/* Waits for a wall-clock time last longer if the clock is set back, and end if it is set ahead. */
static int wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex,
                      const struct timespec *deadline) {
    struct timespec now;
    for (;;) {
        clock_gettime(CLOCK_REALTIME, &now);
        if (now.tv_sec > deadline->tv_sec ||
            (now.tv_sec == deadline->tv_sec && now.tv_nsec >= deadline->tv_nsec))
            return ETIMEDOUT;
        struct timespec next_poll = *deadline;
        if (now.tv_sec < deadline->tv_sec) {
            next_poll = now;
            next_poll.tv_nsec += 100000000;
            if (next_poll.tv_nsec >= 1000000000) {
                next_poll.tv_sec++;
                next_poll.tv_nsec -= 1000000000;
            }
        }
        next_poll.tv_sec -= *ahead;
        int ended = pthread_cond_clockwait(condition, mutex, CLOCK_REALTIME, &next_poll);
        if (ended != ETIMEDOUT)
            return ended;
    }
}

/* A deadline does not tell which clock it uses, but only wall-clock times are so large. */
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline) {
    if (deadline->tv_sec < 1000000000)
        return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, deadline);
    return wait_until(condition, mutex, deadline);
}

int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex,
                  const struct timespec *restrict deadline) {
    switch (wait_until((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, deadline)) {
    case 0: return thrd_success;
    case ETIMEDOUT: return thrd_timedout;
    default: return thrd_error;
    }
}
