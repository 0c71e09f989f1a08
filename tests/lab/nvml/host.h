/* A stand-in for libnvidia-ml.so.1, written from the documented ABI of NVML.
 *
 * It reads `nvml_stub.txt` beside itself at nvmlInit, and again whenever that file was replaced;
 * LD_LIBRARY_PATH is all that a test sets. One directive a line; `*` as the GPU means every GPU and
 * the calls that take none:
 *
 *   driver 580.95.05
 *   gpu KEY=VALUE ... name=TO THE END OF THE LINE
 *       uuid, pci, minor, mig (0, 1; none: the model cannot be cut), total, reserved, used (bytes),
 *       and what the GPU does not support when it is not there: util, memutil (percent), power (mW),
 *       energy (mJ), temp, memtemp (C), sm_clock, mem_clock (MHz), throttle (bits), ecc_sbe,
 *       ecc_dbe, row_cor, row_unc, row_pending, row_failure, and of GPM gr, sm, occ, tensor, dram
 *       (percent)
 *   instance GPU PLACE KEY=VALUE ...   a MIG device; PLACE is its index, with holes where wanted
 *       uuid, gi, slices, mem_mb, total, reserved, used, and GPM as above
 *   process GPU PID BYTES [GI]
 *   sm GPU PID PERCENT TIME_US         a sample of that process' utilisation
 *   xid GPU CODE               an event; those from before the event set was made are not delivered
 *   foreign_handles 1          events come with other handles than those that were given out
 *   grow N                     the next N process lists have grown since their length was asked
 *   fail GPU FUNCTION CODE     the call returns this code; FUNCTION * is every call
 *   fail_field GPU ID CODE     that field value returns this code
 *   hang FUNCTION              the call never returns and shrugs off SIGTERM
 *   crash FUNCTION             the call aborts the process
 *   latency_us N               every call takes this long
 *   calls FILE                 appends "PID FUNCTION" per call
 *
 * -DOLD_DRIVER leaves out the functions that drivers older than 450 lack.
 */
#pragma once
#include "abi.h"

enum { MAX = 512, GPUS = 72, TEXT = 512, ANY = -1, KEYS = 32, PLACES = 8 };

/* A GPU, or with `parent` a MIG device of one; the bindings hold pointers to these as handles. */
typedef struct device {
    int parent, listed;
    char uuid[TEXT], name[TEXT], pci[32];
    double value[KEYS];
} device_t;
typedef struct { int gpu, code; unsigned field; char function[TEXT]; } fail_t;

extern struct host {
    char driver[TEXT], hang[TEXT], crash[TEXT], calls[TEXT];
    unsigned latency_us, foreign_handles;
    int gpus, fails, processes, samples, xids;
    device_t gpu[GPUS], mig[GPUS][PLACES];
    fail_t fail[MAX];
    struct { int gpu, gi; process_t process; } process[MAX];
    struct { int gpu; process_sample_t sample; } sample[MAX];
    struct { int gpu; u64 code; } xid[MAX];
} host;
extern int growing;

/* Reads the file for the first time. */
void load(void);
/* Every call goes through here first: counts, waits, hangs, crashes, or fails as told. */
int enter(const char *function, const device_t *device);
/* The code that `fail_field` gives this field of this device, or OK. */
int field_code(const device_t *device, unsigned field);
/* The value of a key: NAN where the directive had none, `otherwise` in the second form. */
double value_of(const device_t *device, const char *key);
double value_or(const device_t *device, const char *key, double otherwise);
int give_text(char *to, unsigned size, const char *text);
int give_unsigned(const device_t *device, const char *key, unsigned *to);

#define ENTER(device)                               \
    do {                                            \
        int code_ = enter(__func__, device);        \
        if (code_ != OK) return code_;              \
    } while (0)
