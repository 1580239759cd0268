/* Stands in for NVIDIA's management library: answers what a text file says, which FAKE_NVML names. Has only what
 * lorasweep calls. tests/README.md describes the lines of the file. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS, NO_ARGUMENT = 2, NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND = 6, TOO_SMALL };

static const struct { const char *name; int code; } errors[] = {
    {"not_supported", NOT_SUPPORTED}, {"no_permission", NO_PERMISSION}, {"not_found", NOT_FOUND},
    {"driver_not_loaded", 9}, {"timeout", 10}, {"library_not_found", 12}, {"lost", 15}, {"reset_required", 16},
    {"version_mismatch", 18}, {"unknown", 999},
};

static const char *const calls[] = {
    "handle", "uuid", "name", "memory", "processes", "graphics", "capability", "mig", "ecc", "retired", "remapped",
    "cores", "clock", "attributes",
};
enum { HANDLE, UUID, NAME, MEMORY, PROCESSES, GRAPHICS, CAPABILITY, MIG, ECC, RETIRED, REMAPPED, CORES, CLOCK, ATTRIBUTES, CALLS };

struct process { unsigned pid; unsigned long long mib; int graphics, leaves; };

/* A card, or an instance of the card that `parent` counts. */
struct card {
    int parent, mig, major, minor, pending, failed, answers[CALLS];
    unsigned cores, clock, multiprocessors;
    char uuid[96], name[96], since[192];
    unsigned long long total, used, later, uncorrected;
    struct process processes[16];
    int count;
};

static struct card cards[64];
static int card_count, init_answer, cuda, users;
static char driver[80];

static int code_of(const char *name) {
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (!strcmp(errors[i].name, name)) return errors[i].code;
    fprintf(stderr, "fake NVML: unknown error `%s`\n", name);
    abort();
}

static void begin(int parent) {
    struct card *card = &cards[card_count++];
    memset(card, 0, sizeof *card);
    card->parent = parent;
    card->mig = -1;
    card->major = 9;
    card->total = 81559;
    card->cores = 16896;
    card->clock = 1980;
    snprintf(card->uuid, sizeof card->uuid, "GPU-%08d-0000", card_count - 1);
    strcpy(card->name, "NVIDIA H100 80GB HBM3");
}

static void read_line(const char *line) {
    struct card *card = &cards[card_count - 1];
    char word[96], text[192] = "", more[96] = "";
    if (sscanf(line, "%95s", word) != 1 || word[0] == '#') return;
    sscanf(line, "%*s %191[^\n]", text);
    sscanf(line, "%*s %*s %95s", more);
    if (!strcmp(word, "driver")) snprintf(driver, sizeof driver, "%.79s", text);
    else if (!strcmp(word, "cuda")) cuda = atoi(text);
    else if (!strcmp(word, "init")) init_answer = code_of(text);
    else if (!strcmp(word, "card")) begin(-1);
    else if (!strcmp(word, "instance")) {
        int parent = card->parent < 0 ? card_count - 1 : card->parent;
        cards[parent].mig = 1;
        begin(parent);
    }
    else if (!strcmp(word, "uuid")) snprintf(card->uuid, sizeof card->uuid, "%.95s", text);
    else if (!strcmp(word, "name")) snprintf(card->name, sizeof card->name, "%.95s", text);
    else if (!strcmp(word, "since")) sscanf(text, "%191s %llu", card->since, &card->later);
    else if (!strcmp(word, "memory")) sscanf(text, "%llu %llu", &card->total, &card->used);
    else if (!strcmp(word, "capability")) sscanf(text, "%d.%d", &card->major, &card->minor);
    else if (!strcmp(word, "cores")) card->cores = (unsigned)atoi(text);
    else if (!strcmp(word, "clock")) card->clock = (unsigned)atoi(text);
    else if (!strcmp(word, "multiprocessors")) card->multiprocessors = (unsigned)atoi(text);
    else if (!strcmp(word, "mig")) card->mig = !strcmp(text, "on");
    else if (!strcmp(word, "ecc")) card->uncorrected = strtoull(text, NULL, 10);
    else if (!strcmp(word, "remap")) *(!strcmp(text, "pending") ? &card->pending : &card->failed) = 1;
    else if (!strcmp(word, "process") || !strcmp(word, "graphics") || !strcmp(word, "leaving")) {
        struct process *process = &card->processes[card->count++];
        sscanf(text, "%u %llu", &process->pid, &process->mib);
        process->graphics = word[0] == 'g';
        process->leaves = word[0] == 'l';
    }
    else if (!strcmp(word, "error")) {
        sscanf(text, "%95s", word);
        for (int call = 0; call < CALLS; call++)
            if (!strcmp(calls[call], word)) card->answers[call] = code_of(more);
    }
    else {
        fprintf(stderr, "fake NVML: unknown line `%s`\n", line);
        abort();
    }
}

int nvmlInit_v2(void) {
    const char *path = getenv("FAKE_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[256];
    card_count = init_answer = 0;
    cuda = 13000;
    strcpy(driver, "580.95.05");
    if (!file) return 12;
    while (fgets(line, sizeof line, file)) read_line(line);
    fclose(file);
    users += init_answer == SUCCESS;
    return init_answer;
}

/* The last of a process's users lets the driver go, which FAKE_NVML_STOPS counts in lines. */
int nvmlShutdown(void) {
    const char *path = getenv("FAKE_NVML_STOPS");
    FILE *file = !--users && path ? fopen(path, "a") : NULL;
    if (file) {
        fprintf(file, "%d\n", (int)getpid());
        fclose(file);
    }
    return SUCCESS;
}

int nvmlSystemGetDriverVersion(char *text, unsigned length) {
    snprintf(text, length, "%s", driver);
    return SUCCESS;
}

int nvmlSystemGetCudaDriverVersion_v2(int *version) {
    *version = cuda;
    return SUCCESS;
}

/* Those that may not be used are counted, too. */
int nvmlDeviceGetCount_v2(unsigned *count) {
    *count = 0;
    for (int i = 0; i < card_count; i++) *count += cards[i].parent < 0;
    return SUCCESS;
}

static int handle(struct card *card, struct card **found) {
    *found = card;
    return card->answers[HANDLE];
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct card **found) {
    for (int i = 0; i < card_count; i++)
        if (cards[i].parent < 0 && !index--) return handle(&cards[i], found);
    return NO_ARGUMENT;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, struct card **found) {
    for (int i = 0; i < card_count; i++)
        if (!strcmp(cards[i].uuid, uuid)) return handle(&cards[i], found);
    return NOT_FOUND;
}

int nvmlDeviceGetMigMode(struct card *card, unsigned *now, unsigned *later) {
    *now = *later = card->mig == 1;
    return card->answers[MIG] ? card->answers[MIG] : card->mig < 0 ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(struct card *card, unsigned *count) {
    *count = card->mig == 1 ? 7 : 0;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(struct card *card, unsigned index, struct card **found) {
    for (int i = 0; i < card_count; i++)
        if (cards[i].parent == card - cards && !index--) return handle(&cards[i], found);
    return NOT_FOUND;
}

int nvmlDeviceGetUUID(struct card *card, char *text, unsigned length) {
    snprintf(text, length, "%s", card->uuid);
    return card->answers[UUID];
}

int nvmlDeviceGetName(struct card *card, char *text, unsigned length) {
    snprintf(text, length, "%s", card->name);
    return card->answers[NAME];
}

static int is_there(const struct process *process) {
    return !process->leaves || kill((pid_t)process->pid, 0) == 0;
}

struct memory { unsigned version; unsigned long long total, reserved, free, used; };

int nvmlDeviceGetMemoryInfo_v2(struct card *card, struct memory *memory) {
    unsigned long long used = card->used + (*card->since && !access(card->since, F_OK) ? card->later : 0);
    for (int i = 0; i < card->count; i++)
        if (is_there(&card->processes[i])) used += card->processes[i].mib;
    memory->total = card->total << 20;
    memory->reserved = 0;
    memory->used = used << 20;
    memory->free = memory->total - memory->used;
    return card->answers[MEMORY];
}

struct listed { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; };

static int list(struct card *card, int graphics, unsigned *room, struct listed *listed) {
    unsigned count = 0;
    for (int i = 0; i < card->count; i++) {
        const struct process *process = &card->processes[i];
        if (process->graphics != graphics || !is_there(process)) continue;
        if (listed && count < *room) {
            struct listed entry = {process->pid, process->mib << 20, -1u, -1u};
            listed[count] = entry;
        }
        count++;
    }
    int fits = count <= *room;
    *room = count;
    return card->answers[graphics ? GRAPHICS : PROCESSES] ? card->answers[graphics ? GRAPHICS : PROCESSES]
           : fits                                         ? SUCCESS
                                                          : TOO_SMALL;
}

int nvmlDeviceGetComputeRunningProcesses_v3(struct card *card, unsigned *room, struct listed *listed) {
    return list(card, 0, room, listed);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(struct card *card, unsigned *room, struct listed *listed) {
    return list(card, 1, room, listed);
}

int nvmlDeviceGetCudaComputeCapability(struct card *card, int *major, int *minor) {
    *major = card->major;
    *minor = card->minor;
    return card->answers[CAPABILITY];
}

int nvmlDeviceGetNumGpuCores(struct card *card, unsigned *count) {
    *count = card->cores;
    return card->answers[CORES] ? card->answers[CORES] : card->parent < 0 ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetMaxClockInfo(struct card *card, int kind, unsigned *mhz) {
    *mhz = kind == 1 ? card->clock : 0;
    return card->answers[CLOCK] ? card->answers[CLOCK] : card->parent < 0 ? SUCCESS : NOT_SUPPORTED;
}

struct attributes { unsigned multiprocessors, others[7]; unsigned long long memory; };

/* Only instances have them. */
int nvmlDeviceGetAttributes_v2(struct card *card, struct attributes *attributes) {
    memset(attributes, 0, sizeof *attributes);
    attributes->multiprocessors = card->multiprocessors;
    return card->answers[ATTRIBUTES] ? card->answers[ATTRIBUTES] : card->multiprocessors ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetTotalEccErrors(struct card *card, int kind, int counter, unsigned long long *count) {
    *count = kind == 1 && counter == 0 ? card->uncorrected : 0;
    return card->answers[ECC];
}

/* Rows took the place of pages on newer cards. */
int nvmlDeviceGetRetiredPagesPendingStatus(struct card *card, unsigned *pending) {
    *pending = 0;
    return card->answers[RETIRED] ? card->answers[RETIRED] : NOT_SUPPORTED;
}

struct field {
    unsigned id, scope;
    long long time, latency;
    int type, answer;
    union { unsigned number; unsigned long long room; } value;
};

int nvmlDeviceGetFieldValues(struct card *card, int count, struct field *fields) {
    for (int i = 0; i < count; i++) {
        fields[i].type = 1;
        fields[i].answer = card->answers[REMAPPED];
        fields[i].value.number = fields[i].id == 144 ? card->pending : fields[i].id == 145 ? card->failed : 0;
    }
    return SUCCESS;
}
