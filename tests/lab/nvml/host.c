/* What the file says, and the door that every call goes through. */
#define _GNU_SOURCE
#include "host.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct host host;
int growing;
static struct stat read_as;

static const char *const keys[KEYS] = {
    "minor", "mig", "total", "reserved", "used", "util", "memutil", "power", "energy", "temp",
    "memtemp", "sm_clock", "mem_clock", "throttle", "ecc_sbe", "ecc_dbe", "row_cor", "row_unc",
    "row_pending", "row_failure", "gr", "sm", "occ", "tensor", "dram", "gi", "slices", "mem_mb",
};

static int key_of(const char *key) {
    for (int i = 0; i < KEYS && keys[i]; i++)
        if (!strcmp(keys[i], key)) return i;
    abort(); /* a fixture with a mistake must not pass for a quiet host */
}

double value_of(const device_t *device, const char *key) { return device->value[key_of(key)]; }

double value_or(const device_t *device, const char *key, double otherwise) {
    double value = value_of(device, key);
    return isnan(value) ? otherwise : value;
}

static void parse_device(device_t *device, char *line) {
    for (int i = 0; i < KEYS; i++) device->value[i] = NAN;
    device->listed = 1;
    char *name = strstr(line, "name=");
    if (name) {
        snprintf(device->name, TEXT, "%s", name + 5);
        *name = 0;
    }
    for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) {
        char *value = strchr(word, '=');
        if (!value) abort();
        *value++ = 0;
        if (!strcmp(word, "uuid")) snprintf(device->uuid, TEXT, "%s", value);
        else if (!strcmp(word, "pci")) snprintf(device->pci, sizeof device->pci, "%s", value);
        else device->value[key_of(word)] = strtod(value, NULL);
    }
}

static int which_gpu(const char *word) { return *word == '*' ? ANY : atoi(word); }

static void parse_fail(const char *line) {
    char which[TEXT];
    fail_t fail = {0};
    int parts = strncmp(line, "fail_field ", 11)
        ? sscanf(line, "fail %511s %511s %d", which, fail.function, &fail.code)
        : sscanf(line, "fail_field %511s %u %d", which, &fail.field, &fail.code);
    if (parts != 3) abort();
    fail.gpu = which_gpu(which);
    host.fail[host.fails++] = fail;
}

static void parse(char *line) {
    int gpu, place, gi = ANY, length = 0;
    u64 code;
    process_t process = {0};
    process_sample_t sample = {0};
    line[strcspn(line, "\n")] = 0;
    if (host.gpus == GPUS || host.fails == MAX || host.processes == MAX || host.samples == MAX
        || host.xids == MAX) abort();
    if (!strncmp(line, "gpu ", 4)) {
        device_t *device = &host.gpu[host.gpus];
        parse_device(device, line + 4);
        device->parent = ANY;
        device->value[0] = value_or(device, "minor", host.gpus++);
    } else if (sscanf(line, "instance %d %d %n", &gpu, &place, &length) == 2 && length
               && gpu >= 0 && gpu < host.gpus && place >= 0 && place < PLACES) {
        parse_device(&host.mig[gpu][place], line + length);
        host.mig[gpu][place].parent = gpu;
    } else if (!strncmp(line, "fail", 4)) parse_fail(line);
    else if (sscanf(line, "process %d %u %llu %d", &gpu, &process.pid, &process.used, &gi) >= 3) {
        process.gpu_instance = process.compute_instance = (unsigned)gi;
        host.process[host.processes].gpu = gpu;
        host.process[host.processes].gi = gi;
        host.process[host.processes++].process = process;
    } else if (sscanf(line, "sm %d %u %u %llu", &gpu, &sample.pid, &sample.sm, &sample.time_us) == 4) {
        host.sample[host.samples].gpu = gpu;
        host.sample[host.samples++].sample = sample;
    } else if (sscanf(line, "xid %d %llu", &gpu, &code) == 2) {
        host.xid[host.xids].gpu = gpu;
        host.xid[host.xids++].code = code;
    } else if (sscanf(line, "driver %511s", host.driver) != 1
               && sscanf(line, "hang %511s", host.hang) != 1
               && sscanf(line, "crash %511s", host.crash) != 1
               && sscanf(line, "latency_us %u", &host.latency_us) != 1
               && sscanf(line, "foreign_handles %u", &host.foreign_handles) != 1
               && sscanf(line, "calls %511s", host.calls) != 1
               && sscanf(line, "grow %d", &growing) != 1
               && *line) abort();
}

static void file_path(char *path, size_t size) {
    Dl_info self;
    if (!dladdr((void *)load, &self)) abort();
    const char *slash = strrchr(self.dli_fname, '/');
    int folder = slash ? (int)(slash - self.dli_fname) : 0;
    snprintf(path, size, "%.*s/nvml_stub.txt", folder, self.dli_fname);
}

void load(void) {
    char path[4096], line[4096];
    file_path(path, sizeof path);
    FILE *file = fopen(path, "r");
    if (!file || fstat(fileno(file), &read_as)) abort();
    memset(&host, 0, sizeof host);
    growing = 0;
    while (fgets(line, sizeof line, file)) parse(line);
    fclose(file);
}

static void load_if_replaced(void) {
    char path[4096];
    struct stat now;
    file_path(path, sizeof path);
    if (stat(path, &now)) return; /* between the removal of the old and the new */
    if (now.st_ino != read_as.st_ino || now.st_mtim.tv_sec != read_as.st_mtim.tv_sec
        || now.st_mtim.tv_nsec != read_as.st_mtim.tv_nsec || now.st_size != read_as.st_size) load();
}

static const device_t *gpu_of(const device_t *device) {
    return device && device->parent != ANY ? &host.gpu[device->parent] : device;
}

int enter(const char *function, const device_t *device) {
    load_if_replaced();
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
        int hit = fail->gpu == ANY || (device && fail->gpu == gpu_of(device) - host.gpu);
        int every = device && !strcmp(fail->function, "*");
        if (hit && (every || !strcmp(fail->function, function))) return fail->code;
    }
    return OK;
}

int field_code(const device_t *device, unsigned field) {
    for (int i = 0; i < host.fails; i++) {
        const fail_t *fail = &host.fail[i];
        int hit = fail->gpu == ANY || fail->gpu == gpu_of(device) - host.gpu;
        if (hit && fail->field == field) return fail->code;
    }
    return OK;
}

int give_text(char *to, unsigned size, const char *text) {
    if (size <= strlen(text)) return INSUFFICIENT_SIZE;
    memcpy(to, text, strlen(text) + 1);
    return OK;
}

int give_unsigned(const device_t *device, const char *key, unsigned *to) {
    double value = value_of(device, key);
    if (isnan(value)) return NOT_SUPPORTED;
    *to = (unsigned)value;
    return OK;
}
