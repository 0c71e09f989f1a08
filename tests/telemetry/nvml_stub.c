/* A stand-in for libnvidia-ml.so.1, written from the documented ABI of NVML.
 *
 * It reads `nvml_stub.txt` beside itself at nvmlInit; LD_LIBRARY_PATH is all that a test sets.
 * One directive a line; `*` as the GPU means every GPU and the calls that take none:
 *
 *   driver 580.95.05
 *   gpu KEY=VALUE ... name=TO THE END OF THE LINE
 *       keys: uuid minor util total reserved used (bytes) power (mW) temp (C), mig (0, 1; none: the
 *       model cannot be cut)
 *   process GPU PID BYTES
 *   fail GPU FUNCTION CODE     the call returns this code
 *   hang FUNCTION              the call never returns and shrugs off SIGTERM
 *   crash FUNCTION             the call aborts the process
 *   latency_us N               every call takes this long
 *   calls FILE                 appends "PID FUNCTION" per call
 *
 * -DOLD_DRIVER leaves out the functions that drivers older than 450 lack.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7, VERSION_MISMATCH = 25 };
enum { MAX = 64, TEXT = 512, ANY = -1 };

typedef unsigned long long u64;
typedef struct { unsigned gpu, memory; } utilization_t;
typedef struct { u64 total, free, used; } memory_t;
typedef struct { unsigned version; u64 total, reserved, free, used; } memory_v2_t;
typedef struct { unsigned pid; u64 used; unsigned gpu_instance, compute_instance; } process_t;
_Static_assert(sizeof(utilization_t) == 8, "nvmlUtilization_t");
_Static_assert(sizeof(memory_t) == 24, "nvmlMemory_t");
_Static_assert(sizeof(memory_v2_t) == 40, "nvmlMemory_v2_t");
_Static_assert(sizeof(process_t) == 24, "nvmlProcessInfo_t");

typedef struct {
    char uuid[TEXT], name[TEXT];
    int minor, util, power, temp, mig;
    u64 total, reserved, used;
} gpu_t;
typedef struct { int gpu, code; char function[TEXT]; } fail_t;

static struct {
    char driver[TEXT], hang[TEXT], crash[TEXT], calls[TEXT];
    unsigned latency_us;
    int gpus, fails, processes;
    gpu_t gpu[MAX];
    fail_t fail[MAX];
    struct { int gpu; process_t process; } process[MAX];
} host;

static void parse_gpu(char *line) {
    gpu_t *gpu = &host.gpu[host.gpus];
    gpu->minor = host.gpus++;
    gpu->mig = ANY;
    char *name = strstr(line, "name=");
    if (name) {
        snprintf(gpu->name, TEXT, "%s", name + 5);
        *name = 0;
    }
    for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) {
        char *value = strchr(word, '=');
        if (!value) continue;
        *value++ = 0;
        u64 number = strtoull(value, NULL, 10);
        if (!strcmp(word, "uuid")) snprintf(gpu->uuid, TEXT, "%s", value);
        else if (!strcmp(word, "minor")) gpu->minor = (int)number;
        else if (!strcmp(word, "util")) gpu->util = (int)number;
        else if (!strcmp(word, "total")) gpu->total = number;
        else if (!strcmp(word, "reserved")) gpu->reserved = number;
        else if (!strcmp(word, "used")) gpu->used = number;
        else if (!strcmp(word, "power")) gpu->power = (int)number;
        else if (!strcmp(word, "temp")) gpu->temp = (int)number;
        else if (!strcmp(word, "mig")) gpu->mig = (int)number;
        else abort();
    }
}

static void parse(char *line) {
    char which[TEXT];
    fail_t fail = {0};
    int gpu;
    process_t process = {0};
    line[strcspn(line, "\n")] = 0;
    if (!strncmp(line, "gpu ", 4) && host.gpus < MAX) parse_gpu(line + 4);
    else if (sscanf(line, "fail %511s %511s %d", which, fail.function, &fail.code) == 3) {
        fail.gpu = *which == '*' ? ANY : atoi(which);
        if (host.fails < MAX) host.fail[host.fails++] = fail;
    } else if (sscanf(line, "process %d %u %llu", &gpu, &process.pid, &process.used) == 3) {
        if (host.processes < MAX) {
            host.process[host.processes].gpu = gpu;
            host.process[host.processes++].process = process;
        }
    } else if (sscanf(line, "driver %511s", host.driver) != 1
               && sscanf(line, "hang %511s", host.hang) != 1
               && sscanf(line, "crash %511s", host.crash) != 1
               && sscanf(line, "latency_us %u", &host.latency_us) != 1
               && sscanf(line, "calls %511s", host.calls) != 1
               && *line) abort(); /* a fixture with a mistake must not pass for a quiet host */
}

static void load(void) {
    Dl_info self;
    char path[4096], line[4096];
    if (!dladdr((void *)load, &self)) abort();
    const char *slash = strrchr(self.dli_fname, '/');
    int folder = slash ? (int)(slash - self.dli_fname) : 0;
    snprintf(path, sizeof path, "%.*s/nvml_stub.txt", folder, self.dli_fname);
    FILE *file = fopen(path, "r");
    if (!file) abort();
    memset(&host, 0, sizeof host);
    while (fgets(line, sizeof line, file)) parse(line);
    fclose(file);
}

/* Every call goes through here first: counts, waits, hangs, crashes, or fails as told. */
static int enter(const char *function, const gpu_t *gpu) {
    if (*host.calls) {
        char line[TEXT];
        int length = snprintf(line, sizeof line, "%d %s\n", (int)getpid(), function);
        int file = open(host.calls, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (file < 0 || write(file, line, (size_t)length) != length) abort();
        close(file);
    }
    if (host.latency_us) usleep(host.latency_us);
    if (!strcmp(host.crash, function)) abort();
    if (!strcmp(host.hang, function)) {
        signal(SIGTERM, SIG_IGN);
        alarm(120); /* a test that fails must not leave it behind for ever */
        for (;;) pause();
    }
    for (int i = 0; i < host.fails; i++) {
        const fail_t *fail = &host.fail[i];
        int hit = fail->gpu == ANY || (gpu && fail->gpu == gpu - host.gpu);
        if (hit && !strcmp(fail->function, function)) return fail->code;
    }
    return OK;
}

#define ENTER(gpu)                                  \
    do {                                            \
        int code = enter(__func__, gpu);            \
        if (code != OK) return code;                \
    } while (0)

static int give(char *to, unsigned size, const char *text) {
    if (size <= strlen(text)) return INSUFFICIENT_SIZE;
    memcpy(to, text, strlen(text) + 1);
    return OK;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; load(); ENTER(NULL); return OK; }
int nvmlShutdown(void) { ENTER(NULL); return OK; }
const char *nvmlErrorString(int code) { (void)code; return "an error of the stub"; }

int nvmlSystemGetDriverVersion(char *to, unsigned size) {
    ENTER(NULL);
    return give(to, size, host.driver);
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    ENTER(NULL);
    *count = (unsigned)host.gpus;
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, gpu_t **gpu) {
    if (index >= (unsigned)host.gpus) return INVALID;
    ENTER(&host.gpu[index]);
    *gpu = &host.gpu[index];
    return OK;
}

int nvmlDeviceGetName(gpu_t *gpu, char *to, unsigned size) {
    ENTER(gpu);
    return give(to, size, gpu->name);
}

int nvmlDeviceGetUUID(gpu_t *gpu, char *to, unsigned size) {
    ENTER(gpu);
    return give(to, size, gpu->uuid);
}

int nvmlDeviceGetMinorNumber(gpu_t *gpu, unsigned *minor) {
    ENTER(gpu);
    *minor = (unsigned)gpu->minor;
    return OK;
}

int nvmlDeviceGetUtilizationRates(gpu_t *gpu, utilization_t *rates) {
    ENTER(gpu);
    if (gpu->mig == 1) return NOT_SUPPORTED;
    rates->gpu = (unsigned)gpu->util;
    rates->memory = 0;
    return OK;
}

int nvmlDeviceGetMemoryInfo(gpu_t *gpu, memory_t *memory) {
    ENTER(gpu);
    memory->total = gpu->total;
    memory->used = gpu->used + gpu->reserved;
    memory->free = gpu->total - memory->used;
    return OK;
}

int nvmlDeviceGetPowerUsage(gpu_t *gpu, unsigned *milliwatts) {
    ENTER(gpu);
    *milliwatts = (unsigned)gpu->power;
    return OK;
}

int nvmlDeviceGetTemperature(gpu_t *gpu, unsigned sensor, unsigned *celsius) {
    ENTER(gpu);
    if (sensor != 0) return INVALID;
    *celsius = (unsigned)gpu->temp;
    return OK;
}

int nvmlDeviceGetFanSpeed(gpu_t *gpu, unsigned *percent) { ENTER(gpu); *percent = 30; return OK; }

int nvmlDeviceGetPcieThroughput(gpu_t *gpu, unsigned counter, unsigned *kib_per_s) {
    (void)counter;
    ENTER(gpu);
    *kib_per_s = 0;
    return OK;
}

#ifndef OLD_DRIVER
int nvmlDeviceGetMemoryInfo_v2(gpu_t *gpu, memory_v2_t *memory) {
    ENTER(gpu);
    if (memory->version != (2u << 24 | sizeof *memory)) return VERSION_MISMATCH;
    memory->total = gpu->total;
    memory->reserved = gpu->reserved;
    memory->used = gpu->used;
    memory->free = gpu->total - gpu->used - gpu->reserved;
    return OK;
}

int nvmlDeviceGetMigMode(gpu_t *gpu, unsigned *current, unsigned *pending) {
    ENTER(gpu);
    if (gpu->mig == ANY) return NOT_SUPPORTED;
    *current = *pending = (unsigned)gpu->mig;
    return OK;
}

int nvmlDeviceGetComputeRunningProcesses_v3(gpu_t *gpu, unsigned *count, process_t *to) {
    unsigned room = *count, found = 0;
    ENTER(gpu);
    for (int i = 0; i < host.processes; i++) {
        if (host.process[i].gpu != gpu - host.gpu) continue;
        if (found < room && to) to[found] = host.process[i].process;
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : OK;
}
#endif
