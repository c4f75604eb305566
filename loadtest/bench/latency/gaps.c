/* How often the machine takes a core away from a process that wants nothing else: the floor below every high percentile.
 *
 * Reads the clock again and again; two readings apart by more than a few microseconds were parted by an interrupt, by
 * another process, or by the hypervisor. Usage: gaps SECONDS. Prints one line of JSON: gaps by least length, the share
 * of the time that passed in gaps of 20 us and more, the longest.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const uint64_t LEAST_US[] = {20, 50, 100, 1000, 10000};
enum { LENGTHS = sizeof LEAST_US / sizeof *LEAST_US };

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv) {
    double seconds = argc == 2 ? atof(argv[1]) : 0;
    if (!(seconds > 0 && seconds < 3600)) {
        fprintf(stderr, "usage: gaps SECONDS\n");
        return 2;
    }
    uint64_t counts[LENGTHS] = {0}, lost = 0, longest = 0, begin = now_ns(), last = begin, now = begin;
    while (now - begin < (uint64_t)(seconds * 1e9)) {
        now = now_ns();
        uint64_t gap = now - last;
        last = now;
        for (int at = 0; at < LENGTHS && gap >= LEAST_US[at] * 1000; at++) counts[at]++;
        if (gap >= LEAST_US[0] * 1000) lost += gap;
        if (gap > longest) longest = gap;
    }
    printf("{\"seconds\":%g,\"lost\":%.4f,\"longest_us\":%.0f,\"at_least\":{", seconds,
           (double)lost / (double)(now - begin), (double)longest / 1e3);
    for (int at = 0; at < LENGTHS; at++)
        printf("%s\"%lu us\":%lu", at ? "," : "", (unsigned long)LEAST_US[at], (unsigned long)counts[at]);
    printf("}}\n");
    return 0;
}
