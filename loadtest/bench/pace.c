/* An open-model load: hits leave on a schedule that no answer moves, and each one's latency counts from when it was due.
 *
 * Hit k is due at start + k / rate (or, with --poisson, after exponential gaps of that mean) and belongs to connection
 * k mod N. A connection has one hit open; what comes due on it meanwhile waits, and that wait is part of its latency. So
 * a server that stalls is charged for every hit of the stall, not for the N that were open (coordinated omission).
 *
 * One thread that spins: between a hit's due time and its write() stands no timer and no wake-up (in a virtual machine
 * tens of microseconds), at the price of a whole core. How late it was nevertheless by its own fault is told beside.
 * Prints one line of JSON; exits 1 with a line on stderr where nothing could be measured. `--help` lists the options.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 4096,
    HEADS_MAX = 1 << 17,
    WAITING_MAX = 1 << 20, /* due times kept: a server that far behind ends the run */
    ANSWER_BYTES_MAX = 4096,
    EVENTS_MAX = 64,
    FINE_BITS = 7, /* 128 buckets an octave: a figure is at most 0.8 % above what was measured */
    FINE = 1 << FINE_BITS,
    OCTAVES = 40, /* of nanoseconds: up to 18 minutes */
    CURVE_STEPS = 8, /* points of the curve for each factor of ten of what lies beyond */
    CURVE_DECADES = 5,
};
static const uint64_t SECOND = 1000000000u, GRACE_SECONDS = 10; /* for answers, once the last hit has left */

struct histogram {
    uint64_t counts[OCTAVES * FINE], total, most;
};
struct connection {
    int fd;
    bool is_open, is_dead; /* a hit waits for its answer; it is out of use */
    uint64_t next, due, free_since; /* number of its next hit; when its open hit was due; when its last answer was read */
    size_t got;
    char answer[ANSWER_BYTES_MAX + 1];
};
static struct connection connections[CONNECTIONS_MAX];
static struct histogram latency, lateness;
static uint64_t due_at[WAITING_MAX];
static struct { const char *at; size_t bytes; } heads[HEADS_MAX];
static size_t head_count;
static struct {
    uint64_t due, sent, answered, bytes, errors, wrong, sent_in_all, answered_in_all, busy_ns, waited, last_ns;
} seen;
static struct { int port, connections; double rate, seconds, warmup; const char *file; uint64_t seed; bool poisson; } plan =
    {.connections = 64, .rate = 1000, .seconds = 10, .warmup = 1, .seed = 1};
static uint64_t begin, measured_from, schedule_end;
static int poller;

static void die(const char *format, ...) {
    va_list values;
    va_start(values, format);
    fprintf(stderr, "pace: ");
    vfprintf(stderr, format, values);
    fprintf(stderr, "\n");
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* Below FINE each value has a bucket; above, FINE of them halve into each octave's upper part, as HDR histograms do. */
static size_t bucket_of(uint64_t value) {
    int octave = value < FINE ? 0 : 63 - __builtin_clzll(value) - FINE_BITS + 1;
    size_t at = octave == 0 ? value : (size_t)octave * FINE + (value >> (octave - 1)) - FINE;
    return at < OCTAVES * FINE ? at : OCTAVES * FINE - 1;
}

static uint64_t bucket_end(size_t at) { /* the largest value of the bucket */
    size_t octave = at / FINE;
    return octave == 0 ? at : ((at % FINE + FINE + 1) << (octave - 1)) - 1;
}

static void count(struct histogram *in, uint64_t value) {
    in->counts[bucket_of(value)]++;
    in->total++;
    if (value > in->most) in->most = value;
}

static double percentile_us(const struct histogram *in, double percent) {
    uint64_t rank = (uint64_t)ceil((double)in->total * percent / 100), below = 0;
    for (size_t at = 0; at < OCTAVES * FINE; at++) {
        below += in->counts[at];
        if (below >= rank && below) return (double)(bucket_end(at) < in->most ? bucket_end(at) : in->most) / 1e3;
    }
    return 0;
}

static uint64_t above(const struct histogram *in, uint64_t value) {
    uint64_t found = 0;
    for (size_t at = bucket_of(value) + 1; at < OCTAVES * FINE; at++) found += in->counts[at];
    return found;
}

static double uniform(void) { /* splitmix64, (0, 1] */
    uint64_t mixed = plan.seed += 0x9E3779B97F4A7C15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
    return ((double)((mixed ^ (mixed >> 31)) >> 11) + 1) * 0x1p-53;
}

static void read_heads(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) < 0) die("%s: %s", path, strerror(errno));
    long bytes = ftell(file);
    char *text = malloc((size_t)bytes + 1), *at = text, *end;
    rewind(file);
    if (!text || fread(text, 1, (size_t)bytes, file) != (size_t)bytes) die("%s cannot be read", path);
    fclose(file);
    text[bytes] = 0;
    for (; head_count < HEADS_MAX && (end = strstr(at, "\r\n\r\n")); at = end + 4)
        heads[head_count].at = at, heads[head_count++].bytes = (size_t)(end + 4 - at);
    if (!head_count || *at) die("%s: not request heads, each ended by an empty line, at most %d", path, HEADS_MAX);
}

static void connect_all(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)plan.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int at = 0, on = 1; at < plan.connections; at++) {
        struct connection *one = &connections[at];
        one->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (one->fd < 0 || connect(one->fd, (struct sockaddr *)&address, sizeof address) < 0)
            die("connection %d to 127.0.0.1 port %d: %s", at, plan.port, strerror(errno));
        setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (fcntl(one->fd, F_SETFL, O_NONBLOCK) < 0) die("fcntl: %s", strerror(errno));
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = one};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, one->fd, &event) < 0) die("epoll_ctl: %s", strerror(errno));
        one->next = (uint64_t)at;
    }
}

static void fail(struct connection *one) { /* its open hit, and what is due on it from now on, is never answered */
    close(one->fd);
    one->is_dead = true, one->is_open = false;
    seen.errors++;
}

/* Send the connection's next hit, which is due. The loader's own fault is what passed since it was due and could go. */
static void send_next(struct connection *one) {
    uint64_t due = due_at[one->next % WAITING_MAX], now = now_ns();
    size_t at = one->next % head_count;
    one->next += (uint64_t)plan.connections;
    if (due >= measured_from) {
        seen.sent++;
        seen.waited += due < one->free_since;
        count(&lateness, now - (due > one->free_since ? due : one->free_since));
    }
    seen.sent_in_all++;
    one->is_open = true, one->due = due, one->got = 0;
    if (write(one->fd, heads[at].at, heads[at].bytes) != (ssize_t)heads[at].bytes) fail(one);
}

/* Send what has come due up to now; `planned` hits had before, the next is due at *next_ns. Returns how many have. */
static uint64_t send_due(uint64_t planned, uint64_t *next_ns) {
    for (uint64_t now = now_ns(); *next_ns <= now && *next_ns < schedule_end;) {
        struct connection *one = &connections[planned % (uint64_t)plan.connections];
        if (planned >= WAITING_MAX) {
            struct connection *oldest = &connections[(planned - WAITING_MAX) % (uint64_t)plan.connections];
            if (!oldest->is_dead && oldest->next <= planned - WAITING_MAX) die("the server is %d hits behind at %g/s", WAITING_MAX, plan.rate);
        }
        due_at[planned % WAITING_MAX] = *next_ns;
        seen.due += *next_ns >= measured_from;
        if (one->is_dead) one->next = planned + (uint64_t)plan.connections;
        else if (!one->is_open && one->next == planned) send_next(one);
        planned++;
        *next_ns = plan.poisson ? *next_ns + (uint64_t)(-log(uniform()) * 1e9 / plan.rate)
                                : begin + (uint64_t)((double)planned * 1e9 / plan.rate);
    }
    return planned;
}

/* Bytes of the answer that stands at the front, 0 while it is not whole, -1 where that cannot be told. */
static ssize_t whole_answer(struct connection *one, bool *is_right) {
    one->answer[one->got] = 0;
    char *end = strstr(one->answer, "\r\n\r\n");
    if (!end) return one->got < ANSWER_BYTES_MAX ? 0 : -1;
    char *length = strcasestr(one->answer, "\r\ncontent-length:");
    if (!length || length > end) return -1;
    long body = strtol(length + strlen("\r\ncontent-length:"), NULL, 10);
    ssize_t whole = end + 4 - one->answer + body;
    if (body < 0 || whole > ANSWER_BYTES_MAX) return -1;
    if ((size_t)whole > one->got) return 0;
    *is_right = !strncmp(one->answer, "HTTP/1.1 200 ", 13) && body == 43 && !memcmp(end + 4, "GIF89a", 6);
    return whole;
}

static void read_answer(struct connection *one, uint64_t planned) {
    if (one->is_dead) return;
    ssize_t got = read(one->fd, one->answer + one->got, ANSWER_BYTES_MAX - one->got);
    if (got < 0 && errno == EAGAIN) return;
    bool is_right = false;
    if (got <= 0 || !one->is_open) { /* an end, an error, or bytes that nobody asked for */
        fail(one);
        return;
    }
    one->got += (size_t)got;
    ssize_t whole = whole_answer(one, &is_right);
    if (whole == 0) return;
    if (whole < 0 || (size_t)whole < one->got) {
        fail(one);
        return;
    }
    one->free_since = now_ns();
    one->is_open = false;
    seen.answered_in_all++;
    if (one->due >= measured_from) {
        seen.answered++;
        seen.bytes += (uint64_t)whole;
        seen.wrong += !is_right;
        seen.last_ns = one->free_since;
        count(&latency, one->free_since - one->due);
    }
    if (one->next < planned) send_next(one);
}

static bool any_waits(uint64_t planned) { /* for an answer, or to be sent */
    for (int at = 0; at < plan.connections; at++) {
        struct connection *one = &connections[at];
        if (!one->is_dead && (one->is_open || one->next < planned)) return true;
    }
    return false;
}

static void run(void) {
    struct epoll_event events[EVENTS_MAX];
    uint64_t planned = 0, next_ns = begin, stop = schedule_end + GRACE_SECONDS * SECOND;
    for (;;) {
        uint64_t step = now_ns(), before = planned;
        planned = send_due(planned, &next_ns);
        int ready = epoll_wait(poller, events, EVENTS_MAX, 0);
        for (int at = 0; at < ready; at++) {
            read_answer(events[at].data.ptr, planned);
            planned = send_due(planned, &next_ns); /* a batch of answers holds up no hit that comes due */
        }
        if ((ready > 0 || planned > before) && step >= measured_from) seen.busy_ns += now_ns() - step;
        if (next_ns >= schedule_end && (step > stop || !any_waits(planned))) return;
    }
}

static void tell_percentiles(const char *name, const struct histogram *in) {
    printf("\"%s\":{", name);
    for (int at = 0; at < 5; at++) {
        const char *percent = (const char *[]){"50", "90", "99", "99.9", "99.99"}[at];
        printf("\"%s\":%.2f,", percent, percentile_us(in, atof(percent)));
    }
    printf("\"max\":%.2f}", (double)in->most / 1e3);
}

static void tell(void) {
    double seconds = seen.last_ns > measured_from ? (double)(seen.last_ns - measured_from) / 1e9 : 0;
    printf("{\"rate\":%g,\"seconds\":%g,\"warmup\":%g,\"connections\":%d,\"poisson\":%s,", plan.rate, plan.seconds,
           plan.warmup, plan.connections, plan.poisson ? "true" : "false");
    printf("\"due\":%lu,\"sent\":%lu,\"answered\":%lu,\"bytes\":%lu,\"errors\":%lu,\"wrong\":%lu,\"waited\":%lu,", seen.due,
           seen.sent, seen.answered, seen.bytes, seen.errors, seen.wrong, seen.waited);
    printf("\"sent_in_all\":%lu,\"answered_in_all\":%lu,", seen.sent_in_all, seen.answered_in_all);
    printf("\"achieved\":%.1f,\"busy\":%.3f,\"resolution\":%g,", seconds > 0 ? (double)seen.answered / seconds : 0,
           seconds > 0 ? (double)seen.busy_ns / 1e9 / seconds : 0, 1.0 / FINE);
    tell_percentiles("latency_us", &latency);
    printf(",");
    tell_percentiles("late_us", &lateness);
    printf(",\"over\":{\"1ms\":%lu,\"10ms\":%lu,\"100ms\":%lu},\"curve\":[", above(&latency, SECOND / 1000),
           above(&latency, SECOND / 100), above(&latency, SECOND / 10));
    for (int at = 0; at <= CURVE_STEPS * CURVE_DECADES; at++) {
        double percent = 100 - 100 * pow(10, -(double)at / CURVE_STEPS);
        printf("%s[%.7g,%.2f]", at ? "," : "", percent, percentile_us(&latency, percent));
    }
    printf("]}\n");
}

static const struct option OPTIONS[] = {
    {"port", required_argument, NULL, 'p'},   {"rate", required_argument, NULL, 'r'},
    {"connections", required_argument, NULL, 'c'}, {"seconds", required_argument, NULL, 's'},
    {"warmup", required_argument, NULL, 'w'}, {"file", required_argument, NULL, 'f'},
    {"seed", required_argument, NULL, 'x'},   {"poisson", no_argument, NULL, 'o'},
    {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
};

static void read_options(int argc, char **argv) {
    for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) switch (option) {
            case 'p': plan.port = atoi(optarg); break;
            case 'r': plan.rate = atof(optarg); break;
            case 'c': plan.connections = atoi(optarg); break;
            case 's': plan.seconds = atof(optarg); break;
            case 'w': plan.warmup = atof(optarg); break;
            case 'f': plan.file = optarg; break;
            case 'x': plan.seed = strtoull(optarg, NULL, 10); break;
            case 'o': plan.poisson = true; break;
            default:
                fprintf(option == 'h' ? stdout : stderr,
                        "usage: pace --port PORT --file HEADS [--rate HITS_A_SECOND (1000)] [--connections N (64)]\n"
                        "            [--seconds S (10)] [--warmup S (1)] [--poisson] [--seed N (1)]\n");
                exit(option == 'h' ? 0 : 2);
        }
    if (plan.port < 1 || plan.port > 65535) die("--port must be 1 to 65535");
    if (!(plan.rate > 0 && plan.rate <= 1e7)) die("--rate must be above 0 and at most 10,000,000 hits a second");
    if (plan.connections < 1 || plan.connections > CONNECTIONS_MAX) die("--connections must be 1 to %d", CONNECTIONS_MAX);
    if (!(plan.seconds > 0 && plan.warmup >= 0)) die("--seconds must be above 0, --warmup not below");
    if (!plan.file) die("--file is missing: request heads, each ended by its empty line");
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    read_heads(plan.file);
    poller = epoll_create1(EPOLL_CLOEXEC);
    connect_all();
    begin = now_ns() + SECOND / 100;
    measured_from = begin + (uint64_t)(plan.warmup * 1e9);
    schedule_end = measured_from + (uint64_t)(plan.seconds * 1e9);
    run();
    tell();
    return 0;
}
