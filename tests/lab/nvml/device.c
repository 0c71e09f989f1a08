/* The library itself and the calls about one device. */
#include "host.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int nvmlInitWithFlags(unsigned flags) { (void)flags; load(); ENTER(NULL); return OK; }
int nvmlShutdown(void) { ENTER(NULL); return OK; }
const char *nvmlErrorString(int code) { (void)code; return "an error of the stub"; }

int nvmlSystemGetDriverVersion(char *to, unsigned size) {
    ENTER(NULL);
    return give_text(to, size, host.driver);
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    ENTER(NULL);
    *count = (unsigned)host.gpus;
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device_t **device) {
    if (index >= (unsigned)host.gpus) return INVALID;
    ENTER(&host.gpu[index]);
    *device = &host.gpu[index];
    return OK;
}

int nvmlDeviceGetName(device_t *device, char *to, unsigned size) {
    ENTER(device);
    return give_text(to, size, device->name);
}

int nvmlDeviceGetUUID(device_t *device, char *to, unsigned size) {
    ENTER(device);
    return give_text(to, size, device->uuid);
}

int nvmlDeviceGetMinorNumber(device_t *device, unsigned *minor) {
    ENTER(device);
    return give_unsigned(device, "minor", minor);
}

int nvmlDeviceGetPciInfo_v3(device_t *device, pci_t *pci) {
    ENTER(device);
    if (!*device->pci) return NOT_SUPPORTED;
    snprintf(pci->bus_id, sizeof pci->bus_id, "%s", device->pci);
    if (sscanf(device->pci, "%x:%x:%x", &pci->domain, &pci->bus, &pci->device) != 3) abort();
    return OK;
}

int nvmlDeviceGetUtilizationRates(device_t *device, utilization_t *rates) {
    ENTER(device);
    if (device->parent != ANY || value_or(device, "mig", 0) == 1) return NOT_SUPPORTED;
    rates->memory = (unsigned)value_or(device, "memutil", 0);
    return give_unsigned(device, "util", &rates->gpu);
}

int nvmlDeviceGetMemoryInfo(device_t *device, memory_t *memory) {
    ENTER(device);
    memory->total = (u64)value_or(device, "total", 0);
    memory->used = (u64)(value_or(device, "used", 0) + value_or(device, "reserved", 0));
    memory->free = memory->total - memory->used;
    return OK;
}

int nvmlDeviceGetPowerUsage(device_t *device, unsigned *milliwatts) {
    ENTER(device);
    return give_unsigned(device, "power", milliwatts);
}

int nvmlDeviceGetTotalEnergyConsumption(device_t *device, u64 *millijoules) {
    ENTER(device);
    if (isnan(value_of(device, "energy"))) return NOT_SUPPORTED;
    *millijoules = (u64)value_of(device, "energy");
    return OK;
}

int nvmlDeviceGetTemperature(device_t *device, unsigned sensor, unsigned *celsius) {
    ENTER(device);
    if (sensor != 0) return INVALID;
    return give_unsigned(device, "temp", celsius);
}

int nvmlDeviceGetClockInfo(device_t *device, unsigned which, unsigned *megahertz) {
    ENTER(device);
    if (which != 1 && which != 2) return INVALID;
    return give_unsigned(device, which == 1 ? "sm_clock" : "mem_clock", megahertz);
}

int nvmlDeviceGetCurrentClocksThrottleReasons(device_t *device, u64 *bits) {
    ENTER(device);
    if (isnan(value_of(device, "throttle"))) return NOT_SUPPORTED;
    *bits = (u64)value_of(device, "throttle");
    return OK;
}

int nvmlDeviceGetTotalEccErrors(device_t *device, unsigned uncorrected, unsigned kind, u64 *count) {
    const char *key = uncorrected ? "ecc_dbe" : "ecc_sbe";
    ENTER(device);
    if (kind != 0 || isnan(value_of(device, key))) return NOT_SUPPORTED;
    *count = (u64)value_of(device, key);
    return OK;
}

/* The dear calls: here only so that a test can see that nobody makes them. */
int nvmlDeviceGetFanSpeed(device_t *device, unsigned *percent) {
    ENTER(device);
    *percent = 30;
    return OK;
}

int nvmlDeviceGetPcieThroughput(device_t *device, unsigned counter, unsigned *kib_per_s) {
    (void)counter;
    ENTER(device);
    *kib_per_s = 0;
    return OK;
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(device_t *device, unsigned *count, process_t *to) {
    (void)to;
    ENTER(device);
    *count = 0;
    return OK;
}

#ifndef OLD_DRIVER
int nvmlDeviceGetMemoryInfo_v2(device_t *device, memory_v2_t *memory) {
    ENTER(device);
    if (memory->version != (2u << 24 | sizeof *memory)) return VERSION_MISMATCH;
    memory->total = (u64)value_or(device, "total", 0);
    memory->reserved = (u64)value_or(device, "reserved", 0);
    memory->used = (u64)value_or(device, "used", 0);
    memory->free = memory->total - memory->used - memory->reserved;
    return OK;
}

int nvmlDeviceGetCurrentClocksEventReasons(device_t *device, u64 *bits) {
    ENTER(device);
    if (isnan(value_of(device, "throttle"))) return NOT_SUPPORTED;
    *bits = (u64)value_of(device, "throttle");
    return OK;
}

int nvmlDeviceGetRemappedRows(
    device_t *device, unsigned *cor, unsigned *unc, unsigned *pending, unsigned *failure) {
    ENTER(device);
    int code = give_unsigned(device, "row_cor", cor);
    if (code == OK) code = give_unsigned(device, "row_unc", unc);
    if (code == OK) code = give_unsigned(device, "row_pending", pending);
    if (code == OK) code = give_unsigned(device, "row_failure", failure);
    return code;
}

static const struct { unsigned id; const char *key; unsigned type; } fields[] = {
    {3, "ecc_sbe", TYPE_UNSIGNED_LONG_LONG}, {4, "ecc_dbe", TYPE_UNSIGNED_LONG_LONG},
    {82, "memtemp", TYPE_UNSIGNED},          {83, "energy", TYPE_UNSIGNED_LONG_LONG},
    {142, "row_cor", TYPE_UNSIGNED},         {143, "row_unc", TYPE_UNSIGNED},
    {144, "row_pending", TYPE_UNSIGNED},     {145, "row_failure", TYPE_UNSIGNED},
    {185, "power", TYPE_UNSIGNED},           {186, "power", TYPE_UNSIGNED},
};

int nvmlDeviceGetFieldValues(device_t *device, int count, field_value_t *to) {
    ENTER(device);
    for (int i = 0; i < count; i++) {
        to[i].code = NOT_SUPPORTED;
        for (unsigned f = 0; f < sizeof fields / sizeof *fields; f++) {
            if (fields[f].id != to[i].id || isnan(value_of(device, fields[f].key))) continue;
            to[i].code = OK;
            to[i].type = fields[f].type;
            if (to[i].type == TYPE_UNSIGNED) to[i].value.u = (unsigned)value_of(device, fields[f].key);
            else to[i].value.ull = (u64)value_of(device, fields[f].key);
        }
        int told = field_code(device, to[i].id);
        if (told != OK) to[i].code = told;
    }
    return OK;
}
#endif
