/* MIG devices, and GPM with its opaque samples. */
#include "host.h"

#include <math.h>
#include <stdlib.h>

#ifndef OLD_DRIVER
int nvmlDeviceGetMigMode(device_t *device, unsigned *current, unsigned *pending) {
    ENTER(device);
    int code = give_unsigned(device, "mig", current);
    *pending = *current;
    return code;
}

int nvmlDeviceGetMaxMigDeviceCount(device_t *device, unsigned *count) {
    ENTER(device);
    *count = isnan(value_of(device, "mig")) ? 0 : 7;
    return OK;
}

int nvmlDeviceGetMigDeviceHandleByIndex(device_t *device, unsigned place, device_t **to) {
    ENTER(device);
    if (place >= PLACES) return INVALID;
    *to = &host.mig[device - host.gpu][place];
    return (*to)->listed ? OK : NOT_FOUND;
}

int nvmlDeviceGetGpuInstanceId(device_t *device, unsigned *gi) {
    ENTER(device);
    return give_unsigned(device, "gi", gi);
}

int nvmlDeviceGetAttributes_v2(device_t *device, attributes_t *attributes) {
    ENTER(device);
    if (device->parent == ANY) return INVALID;
    attributes->gpu_slices = (unsigned)value_or(device, "slices", 0);
    attributes->memory_mb = (u64)value_or(device, "mem_mb", 0);
    return OK;
}

typedef struct { unsigned taken; device_t *device; int gi; } sample_t;
static unsigned taken;

int nvmlGpmQueryDeviceSupport(device_t *device, gpm_support_t *support) {
    ENTER(device);
    if (support->version != 1) return VERSION_MISMATCH;
    support->supported = !isnan(value_of(device, "gr"));
    return OK;
}

int nvmlGpmSampleAlloc(sample_t **sample) {
    ENTER(NULL);
    *sample = calloc(1, sizeof **sample);
    return OK;
}

int nvmlGpmSampleFree(sample_t *sample) {
    ENTER(NULL);
    free(sample);
    return OK;
}

int nvmlGpmSampleGet(device_t *device, sample_t *sample) {
    ENTER(device);
    if (value_or(device, "mig", 0) == 1) return NOT_SUPPORTED;
    *sample = (sample_t){++taken, device, ANY};
    return OK;
}

int nvmlGpmMigSampleGet(device_t *device, unsigned gi, sample_t *sample) {
    ENTER(device);
    for (int place = 0; place < PLACES; place++) {
        device_t *mig = &host.mig[device - host.gpu][place];
        if (!mig->listed || value_of(mig, "gi") != gi) continue;
        *sample = (sample_t){++taken, mig, (int)gi};
        return OK;
    }
    return NOT_FOUND;
}

int nvmlGpmMetricsGet(gpm_get_t *get) {
    static const char *const keys[] = {NULL, "gr", "sm", "occ", NULL, "tensor",
                                       NULL, NULL, NULL,  NULL, "dram"};
    const sample_t *one = get->sample1, *two = get->sample2;
    ENTER(NULL);
    if (get->version != 1) return VERSION_MISMATCH;
    if (!one || !two || !one->taken || one->taken >= two->taken) return INVALID;
    if (one->device != two->device || one->gi != two->gi) return INVALID;
    for (unsigned i = 0; i < get->metrics; i++) {
        gpm_metric_t *metric = &get->metric[i];
        const char *key = metric->id <= 10 ? keys[metric->id] : NULL;
        metric->value = key ? value_of(two->device, key) : NAN;
        metric->code = isnan(metric->value) ? NOT_SUPPORTED : OK;
    }
    return OK;
}
#endif
