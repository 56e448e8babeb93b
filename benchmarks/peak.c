/* What this machine can do at best, in the minutes of a benchmark:
 *
 *     peak THREADS   prints one JSON line: fma (GFLOP/s, fp32), read_l2,
 *                    read_32m and read_512m (GB/s), each of all threads together
 *
 * FMA: independent chains in registers. Reads: vector sums over a buffer of
 * 256 KiB, 32 MiB, 512 MiB, each thread its own part. Best of several rounds.
 * Compile with clang -O3 -march=native -ffp-contract=fast -pthread. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __AVX512F__
enum { LANES = 16 };
#else
enum { LANES = 8 };
#endif
typedef float vec __attribute__((vector_size(LANES * 4)));
typedef int32_t ivec __attribute__((vector_size(LANES * 4)));
enum { CHAINS = 12, MAX_THREADS = 256, ROUNDS = 7 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static pthread_barrier_t barrier;
static int threads;
static char *buffer;
static volatile float sink;

struct job {
  int id;
  size_t bytes; /* of all threads together; 0 measures FMA */
  double best;  /* GFLOP/s or GB/s of all threads, written by thread 0 */
};

static double fmaFlops(void) {
  volatile float start = 1.0f, scale = 0.999f, shift = 0.001f;
  vec acc[CHAINS], x = scale - (vec){0}, y = shift - (vec){0};
  const long steps = 2000000;
  for (int i = 0; i < CHAINS; ++i)
    acc[i] = start - (vec){0};
  for (long s = 0; s < steps; ++s)
    for (int i = 0; i < CHAINS; ++i)
      acc[i] = acc[i] * x + y;
  for (int i = 1; i < CHAINS; ++i)
    acc[0] += acc[i];
  sink = acc[0][0];
  return 2.0 * LANES * CHAINS * steps;
}

static double readBytes(const char *from, size_t bytes) {
  const ivec *p = (const ivec *)from;
  size_t n = bytes / sizeof(vec) / 8 * 8, passes = ((size_t)256 << 20) / bytes;
  ivec s[8] = {{0}};
  passes = passes ? passes : 1;
  for (size_t k = 0; k < passes; ++k) {
    for (size_t i = 0; i < n; i += 8)
      for (int j = 0; j < 8; ++j)
        s[j] ^= p[i + j];
    __asm__ volatile("" ::: "memory");
  }
  for (int j = 1; j < 8; ++j)
    s[0] ^= s[j];
  sink = (float)s[0][0];
  return (double)n * sizeof(vec) * passes;
}

static void *measure(void *argument) {
  struct job *job = argument;
  size_t part = job->bytes / threads / 512 * 512;
  for (int r = 0; r < ROUNDS; ++r) {
    pthread_barrier_wait(&barrier);
    double began = now();
    double work = job->bytes ? readBytes(buffer + part * job->id, part) : fmaFlops();
    pthread_barrier_wait(&barrier);
    double rate = work * threads / (now() - began) / 1e9;
    if (rate > job->best)
      job->best = rate;
  }
  return NULL;
}

static double best(size_t bytes) {
  pthread_t handle[MAX_THREADS];
  struct job jobs[MAX_THREADS];
  pthread_barrier_init(&barrier, NULL, threads);
  for (int i = 0; i < threads; ++i) {
    jobs[i] = (struct job){i, bytes, 0};
    if (pthread_create(&handle[i], NULL, measure, &jobs[i]))
      exit(1);
  }
  for (int i = 0; i < threads; ++i)
    pthread_join(handle[i], NULL);
  pthread_barrier_destroy(&barrier);
  return jobs[0].best;
}

int main(int argc, char **argv) {
  const size_t largest = (size_t)512 << 20;
  threads = argc > 1 ? atoi(argv[1]) : 1;
  if (argc > 2 || threads < 1 || threads > MAX_THREADS) {
    fprintf(stderr, "usage: peak THREADS (1 to %d)\n", MAX_THREADS);
    return 2;
  }
  buffer = aligned_alloc(4096, largest);
  if (!buffer)
    return 1;
  memset(buffer, 1, largest);
  printf("{\"threads\": %d, \"fma\": %.1f, \"read_l2\": %.1f, \"read_32m\": %.1f, \"read_512m\": %.1f}\n", threads,
         best(0), best((size_t)(256 << 10) * threads), best((size_t)32 << 20), best(largest));
  return 0;
}
