/* A loopback server that is not the bottleneck: one process, one epoll, prebuilt answers.
 *
 * It answers `GET .../api/v2/billing.php?api=NAME` in the vendor's envelope, with rows whose
 * `operation` is made from the request's token, and judges what it is asked: a request whose
 * token has another one unanswered is an overlap; one without a token, with another path, with
 * a body or sent before the last answer was read is wrong; the same question twice is repeated.
 *
 * Every ready socket is read before anything is answered, so that requests which arrive
 * together are seen together.
 *
 *     loopback ROWS LATENCY_MS API,API,...
 *
 * The first line on standard output says the port. SIGTERM ends it, with the verdict as JSON.
 * `loopback.py` does the same with TLS, and where there is no compiler.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN = 4096, EVENTS = 1024, NAME = 14, MOST_APIS = 64 };

typedef struct Token {
    uint64_t hash;
    uint64_t asked; /* a bit for each api */
    int unanswered;
    char name[NAME + 1];
} Token;

typedef struct Connection {
    int fd, filled, closing;
    int pending; /* asked, and not answered to the last byte */
    int queued, gone; /* the queue knows it; once it is gone, the queue frees it */
    Token *token;
    char *rest; /* what the socket did not take */
    size_t rest_at, rest_size;
    char in[IN];
} Connection;

typedef struct Due {
    double at;
    Connection *connection;
} Due;

static struct {
    long requests, connections, overlaps, repeated, answered, most, in_flight, abandoned;
    long no_token, wrong_path, pipelined, body;
    double first, last, first_cpu, last_cpu;
} seen;

static volatile sig_atomic_t stopping;
static int poll_fd;
static char *apis[MOST_APIS];
static int api_count;
static char *answer; /* head and body; the name goes to each of `places`, the time to `date` */
static size_t answer_size, *places, rows;
static char *date;
static time_t dated;
static Token **table;
static size_t table_size = 1 << 12, token_count;
static Due *queue; /* a ring, in the order of their times, for the latency is the same for all */
static size_t queue_size = 1 << 16, queue_head, queue_tail;
static double latency;

static void stop(int number) {
    (void)number;
    stopping = 1;
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static double cpu(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void *need(void *memory) {
    if (!memory) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return memory;
}

/* --- tokens ----------------------------------------------------------------------------- */

static uint64_t fnv(const char *text, size_t size) {
    uint64_t hash = 14695981039346656037ULL;
    for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)text[i]) * 1099511628211ULL;
    return hash;
}

static void grow_table(void) {
    Token **old = table;
    size_t old_size = table_size;
    table_size *= 2;
    table = need(calloc(table_size, sizeof *table));
    for (size_t i = 0; i < old_size; i++) {
        if (!old[i]) continue;
        size_t at = old[i]->hash & (table_size - 1);
        while (table[at]) at = (at + 1) & (table_size - 1);
        table[at] = old[i];
    }
    free(old);
}

static Token *token_of(const char *text, size_t size) {
    uint64_t hash = fnv(text, size);
    size_t at = hash & (table_size - 1);
    for (; table[at]; at = (at + 1) & (table_size - 1))
        if (table[at]->hash == hash) return table[at];
    Token *token = table[at] = need(calloc(1, sizeof *token));
    token->hash = hash;
    snprintf(token->name, sizeof token->name, "OP%012llx", (unsigned long long)(hash >> 16));
    if (++token_count * 2 > table_size) grow_table();
    return token;
}

/* --- answers ---------------------------------------------------------------------------- */

static void build_answer(void) {
    static const char row[] =
        "{\"operation\":\"00000000000000\",\"description\":\"Interactions of the month\",\"items\":\"12\",\"date\":\"2026-11-21\"}";
    static const char before[] =
        "{\"code\":200,\"error\":null,\"msg\":\"Information found for the current month\",\"data\":[";
    size_t each = sizeof row - 1, body = sizeof before - 1 + rows * each + (rows ? rows - 1 : 0) + 2;
    char head[256];
    int head_size = snprintf(head, sizeof head,
                             "HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 21:43:47 GMT\r\nServer: loopback\r\n"
                             "Content-Type: application/json\r\nContent-Length: %zu\r\nConnection: keep-alive\r\n\r\n",
                             body);
    answer = need(malloc(head_size + body + 1));
    places = need(malloc((rows + 1) * sizeof *places));
    char *at = mempcpy(mempcpy(answer, head, head_size), before, sizeof before - 1);
    for (size_t i = 0; i < rows; i++) {
        if (i) *at++ = ',';
        places[i] = at - answer + strlen("{\"operation\":\"");
        at = mempcpy(at, row, each);
    }
    at = mempcpy(at, "]}", 2);
    answer_size = at - answer;
    date = strstr(answer, "Date: ") + strlen("Date: ");
}

/* A new time every second, as servers have it: a client must not know the head by heart for ever. */
static void set_date(void) {
    time_t second = time(NULL);
    if (second == dated) return;
    char text[32];
    struct tm parts;
    memcpy(date, text, strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&second, &parts)));
    dated = second;
}

static void watch(Connection *connection, uint32_t what) {
    struct epoll_event event = {.events = what, .data.ptr = connection};
    epoll_ctl(poll_fd, EPOLL_CTL_MOD, connection->fd, &event);
}

static void shut(Connection *connection) {
    close(connection->fd);
    connection->fd = -1;
    free(connection->rest);
    connection->rest = NULL;
    if (connection->pending && connection->token) {
        seen.abandoned++;
        seen.in_flight--;
        connection->token->unanswered--;
    }
    if (connection->queued) connection->gone = 1;
    else free(connection);
}

static void answered(Connection *connection) {
    connection->pending = 0;
    connection->token->unanswered--;
    connection->token = NULL;
    seen.answered++;
    seen.in_flight--;
    if (connection->closing) shut(connection);
}

static void reply(Connection *connection) {
    connection->queued = 0;
    if (connection->gone) {
        free(connection);
        return;
    }
    set_date();
    for (size_t i = 0; i < rows; i++) memcpy(answer + places[i], connection->token->name, NAME);
    ssize_t sent = send(connection->fd, answer, answer_size, MSG_NOSIGNAL);
    if (sent == (ssize_t)answer_size) {
        answered(connection);
        return;
    }
    size_t done = sent < 0 ? 0 : sent;
    connection->rest_at = 0;
    connection->rest_size = answer_size - done;
    connection->rest = need(malloc(connection->rest_size));
    memcpy(connection->rest, answer + done, connection->rest_size);
    watch(connection, EPOLLIN | EPOLLOUT);
}

static void send_rest(Connection *connection) {
    ssize_t sent = send(connection->fd, connection->rest + connection->rest_at,
                        connection->rest_size - connection->rest_at, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) shut(connection);
    if (sent < 0) return;
    connection->rest_at += sent;
    if (connection->rest_at < connection->rest_size) return;
    free(connection->rest);
    connection->rest = NULL;
    watch(connection, EPOLLIN);
    answered(connection);
}

static void refuse(Connection *connection) {
    static const char text[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    send(connection->fd, text, sizeof text - 1, MSG_NOSIGNAL);
    shut(connection);
}

/* --- requests --------------------------------------------------------------------------- */

static int api_of(const char *line, const char *end) {
    static const char path[] = "/api/v2/billing.php?api=";
    const char *found = memmem(line, end - line, path, sizeof path - 1);
    if (strncmp(line, "GET /", 5) || !found) return -1;
    const char *name = found + sizeof path - 1, *over = memchr(name, ' ', end - name);
    if (!over || end - over != 9 || memcmp(over, " HTTP/1.1", 9)) return -1;
    for (int i = 0; i < api_count; i++)
        if (strlen(apis[i]) == (size_t)(over - name) && !memcmp(apis[i], name, over - name)) return i;
    return -1;
}

static int is_header(const char *line, const char *end, const char *name) {
    size_t size = strlen(name);
    return (size_t)(end - line) > size && line[size] == ':' && !strncasecmp(line, name, size);
}

/* Returns whether the request is to be answered; otherwise the connection is gone. */
static int take(Connection *connection, char *end) {
    char *line = connection->in, *over = memmem(line, IN, "\r\n", 2), *token = NULL;
    size_t token_size = 0;
    int api = api_of(line, over), body = 0;
    for (line = over + 2; line < end; line = over + 2) {
        over = memmem(line, end + 2 - line, "\r\n", 2);
        if (is_header(line, over, "wolkvox-token")) {
            for (token = line + 14; *token == ' '; token++) continue;
            token_size = over - token;
        } else if (is_header(line, over, "connection")) {
            connection->closing = memmem(line, over - line, "close", 5) != NULL;
        } else if (is_header(line, over, "content-length") || is_header(line, over, "transfer-encoding")) {
            body = 1;
        }
    }
    seen.requests++;
    seen.body += body;
    seen.wrong_path += api < 0;
    seen.no_token += !token_size;
    if (body || api < 0 || !token_size) {
        refuse(connection);
        return 0;
    }
    Token *asking = connection->token = token_of(token, token_size);
    seen.overlaps += asking->unanswered > 0;
    seen.repeated += (asking->asked >> api) & 1;
    asking->asked |= 1ULL << api;
    asking->unanswered++;
    connection->pending = 1;
    connection->filled = 0;
    if (++seen.in_flight > seen.most) seen.most = seen.in_flight;
    return 1;
}

/* Reads what there is; returns whether a whole request stands there to be answered. */
static int hear(Connection *connection) {
    ssize_t got = recv(connection->fd, connection->in + connection->filled, IN - 1 - connection->filled, 0);
    if (got < 0 && errno == EAGAIN) return 0;
    if (got <= 0 || connection->pending) {
        seen.pipelined += got > 0;
        seen.requests += got > 0;
        shut(connection);
        return 0;
    }
    connection->filled += got;
    connection->in[connection->filled] = 0;
    char *end = memmem(connection->in, connection->filled, "\r\n\r\n", 4);
    if (!end) {
        if (connection->filled == IN - 1) shut(connection);
        return 0;
    }
    if (end + 4 != connection->in + connection->filled) {
        seen.pipelined++;
        seen.requests++;
        refuse(connection);
        return 0;
    }
    return take(connection, end);
}

static void greet(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        Connection *connection = need(malloc(sizeof *connection));
        memset(connection, 0, offsetof(Connection, in));
        connection->fd = fd;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
        seen.connections++;
    }
}

/* --- the loop --------------------------------------------------------------------------- */

static void enqueue(Connection *connection, double at) {
    if (queue_tail - queue_head == queue_size) {
        Due *bigger = need(malloc(2 * queue_size * sizeof *queue));
        for (size_t i = queue_head; i < queue_tail; i++)
            bigger[i & (2 * queue_size - 1)] = queue[i & (queue_size - 1)];
        free(queue);
        queue = bigger;
        queue_size *= 2;
    }
    connection->queued = 1;
    queue[queue_tail++ & (queue_size - 1)] = (Due){at + latency, connection};
}

static void serve(int listener) {
    static struct epoll_event events[EVENTS];
    while (!stopping) {
        int wait = -1;
        if (queue_head != queue_tail) {
            double left = queue[queue_head & (queue_size - 1)].at - now();
            wait = left <= 0 ? 0 : (int)(left * 1e3) + 1;
        }
        int count = epoll_wait(poll_fd, events, EVENTS, wait);
        double at = now();
        long before = seen.requests;
        for (int i = 0; i < count; i++) {
            Connection *connection = events[i].data.ptr;
            if (!connection) greet(listener);
            else if (events[i].events & EPOLLOUT && connection->rest) send_rest(connection);
            else if (hear(connection)) enqueue(connection, at);
        }
        if (!before && seen.requests) seen.first = at, seen.first_cpu = cpu();
        if (queue_head != queue_tail || count > 0) seen.last = at;
        for (; queue_head != queue_tail && queue[queue_head & (queue_size - 1)].at <= at; queue_head++)
            reply(queue[queue_head & (queue_size - 1)].connection);
    }
    seen.last_cpu = cpu();
}

static int listen_at(int *port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    if (bind(listener, (struct sockaddr *)&here, size) || listen(listener, 4096)) {
        perror("loopback");
        exit(1);
    }
    getsockname(listener, (struct sockaddr *)&here, &size);
    *port = ntohs(here.sin_port);
    return listener;
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    rows = strtoul(arguments[1], NULL, 10);
    latency = strtod(arguments[2], NULL) / 1e3;
    for (char *name = strtok(arguments[3], ","); name && api_count < MOST_APIS; name = strtok(NULL, ","))
        apis[api_count++] = name;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    signal(SIGINT, SIG_IGN);
    table = need(calloc(table_size, sizeof *table));
    queue = need(malloc(queue_size * sizeof *queue));
    build_answer();
    int port, listener = listen_at(&port);
    poll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event);
    printf("%d\n", port);
    fflush(stdout);
    serve(listener);
    printf("{\"requests\":%ld,\"answered\":%ld,\"connections\":%ld,\"tokens\":%zu,\"overlaps\":%ld,\"repeated\":%ld,"
           "\"abandoned\":%ld,\"most_in_flight\":%ld,\"no_token\":%ld,\"wrong_path\":%ld,\"pipelined\":%ld,"
           "\"body\":%ld,\"cpu\":%.6f,\"wall\":%.6f}\n",
           seen.requests, seen.answered, seen.connections, token_count, seen.overlaps, seen.repeated, seen.abandoned,
           seen.most, seen.no_token, seen.wrong_path, seen.pipelined, seen.body, seen.last_cpu - seen.first_cpu,
           seen.last - seen.first);
    return 0;
}
