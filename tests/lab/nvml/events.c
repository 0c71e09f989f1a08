/* Events (XIDs) and processes: what comes and goes while a reader runs. */
#include "host.h"

#include <stdlib.h>

static int delivered;
static unsigned registered;
static char the_set;

int nvmlEventSetCreate(void **set) {
    ENTER(NULL);
    *set = &the_set;
    delivered = host.xids; /* what happened before is not delivered */
    registered = 0;
    return OK;
}

int nvmlDeviceRegisterEvents(device_t *device, u64 types, void *set) {
    ENTER(device);
    if (set != &the_set || types != XID_EVENT) return INVALID;
    registered++;
    return OK;
}

int nvmlEventSetFree(void *set) {
    ENTER(NULL);
    return set == &the_set ? OK : INVALID;
}

#ifndef OLD_DRIVER
int nvmlEventSetWait_v2(void *set, event_t *event, unsigned timeout_ms) {
    ENTER(NULL);
    if (set != &the_set || timeout_ms != 0) return INVALID; /* nobody may wait in here */
    if (!registered || delivered >= host.xids) return TIMEOUT;
    static device_t foreign;
    foreign = host.gpu[host.xid[delivered].gpu];
    event->device = host.foreign_handles ? &foreign : &host.gpu[host.xid[delivered].gpu];
    event->type = XID_EVENT;
    event->data = host.xid[delivered++].code;
    event->gpu_instance = event->compute_instance = (unsigned)ANY;
    return OK;
}

static int list_processes(device_t *device, unsigned *count, process_t *to) {
    unsigned room = *count, found = 0;
    int gpu = device->parent, gi = ANY;
    if (gpu == ANY) {
        gpu = (int)(device - host.gpu);
        if (value_or(device, "mig", 0) == 1) return NO_PERMISSION; /* the whole is root's to see */
    } else gi = (int)value_or(device, "gi", 0);
    for (int i = 0; i < host.processes; i++) {
        if (host.process[i].gpu != gpu || host.process[i].gi != gi) continue;
        if (found < room && to) to[found] = host.process[i].process;
        found++;
    }
    if (to && growing > 0 && growing--) found = room + 1;
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : OK;
}

int nvmlDeviceGetComputeRunningProcesses_v3(device_t *device, unsigned *count, process_t *to) {
    ENTER(device);
    return list_processes(device, count, to);
}

int nvmlDeviceGetComputeRunningProcesses_v2(device_t *device, unsigned *count, process_t *to) {
    ENTER(device);
    return list_processes(device, count, to);
}
#endif

int nvmlDeviceGetProcessUtilization(
    device_t *device, process_sample_t *to, unsigned *count, u64 since_us) {
    unsigned room = to ? *count : 0, found = 0;
    ENTER(device);
    if (device->parent != ANY || value_or(device, "mig", 0) == 1) return NOT_SUPPORTED;
    for (int i = 0; i < host.samples; i++) {
        if (&host.gpu[host.sample[i].gpu] != device) continue;
        if (host.sample[i].sample.time_us <= since_us) continue;
        if (found < room) to[found] = host.sample[i].sample;
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : OK; /* none at all is a success of length 0 */
}
