/* The documented ABI of NVML, as far as the bindings use it: codes and structures. */
#pragma once
#include <stddef.h>

enum {
    OK = 0,
    INVALID = 2,
    NOT_SUPPORTED = 3,
    NO_PERMISSION = 4,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    TIMEOUT = 10,
    VERSION_MISMATCH = 25
};
enum { TYPE_UNSIGNED = 1, TYPE_UNSIGNED_LONG_LONG = 3, XID_EVENT = 8, GPM_METRICS = 5 };

typedef unsigned long long u64;
typedef struct { unsigned gpu, memory; } utilization_t;
typedef struct { u64 total, free, used; } memory_t;
typedef struct { unsigned version; u64 total, reserved, free, used; } memory_v2_t;
typedef struct { unsigned pid; u64 used; unsigned gpu_instance, compute_instance; } process_t;
typedef struct { unsigned pid; u64 time_us; unsigned sm, mem, enc, dec; } process_sample_t;
typedef union { double d; unsigned u; u64 ull; } value_t;
typedef struct {
    unsigned id, scope;
    long long time_us, latency_us;
    unsigned type;
    int code;
    value_t value;
} field_value_t;
typedef struct {
    char bus_id_legacy[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
} pci_t;
typedef struct {
    unsigned sms, copies, decoders, encoders, jpegs, ofas, gpu_slices, compute_slices;
    u64 memory_mb;
} attributes_t;
typedef struct {
    void *device;
    u64 type, data;
    unsigned gpu_instance, compute_instance;
} event_t;
typedef struct { unsigned version, supported; } gpm_support_t;
typedef struct {
    unsigned id;
    int code;
    double value;
    const char *short_name, *long_name, *unit;
} gpm_metric_t;
typedef struct {
    unsigned version, metrics;
    void *sample1, *sample2;
    gpm_metric_t metric[];
} gpm_get_t;

_Static_assert(sizeof(utilization_t) == 8, "nvmlUtilization_t");
_Static_assert(sizeof(memory_t) == 24, "nvmlMemory_t");
_Static_assert(sizeof(memory_v2_t) == 40, "nvmlMemory_v2_t");
_Static_assert(sizeof(process_t) == 24, "nvmlProcessInfo_t");
_Static_assert(sizeof(process_sample_t) == 32, "nvmlProcessUtilizationSample_t");
_Static_assert(sizeof(field_value_t) == 40, "nvmlFieldValue_t");
_Static_assert(sizeof(pci_t) == 68, "nvmlPciInfo_t");
_Static_assert(sizeof(attributes_t) == 40, "nvmlDeviceAttributes_t");
_Static_assert(sizeof(event_t) == 32, "nvmlEventData_t");
_Static_assert(sizeof(gpm_support_t) == 8, "nvmlGpmSupport_t");
_Static_assert(sizeof(gpm_metric_t) == 40, "nvmlGpmMetric_t");
_Static_assert(offsetof(gpm_get_t, metric) == 24, "nvmlGpmMetricsGet_t");
