/* The floor below every HTTP server: one thread, level-triggered epoll, a fixed answer to each chunk that is read.
 *
 * It parses nothing, so a chunk counts as one request; that holds for a client that sends a small request whole and
 * waits for its answer. Usage: epoll_floor PORT FILE CLOSE, FILE holding the answer, CLOSE 0 or 1: end the connection
 * after an answer. Runs until it is killed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 128, CHUNK_BYTES = 64 * 1024, ANSWER_BYTES_MAX = 4096 };

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int listen_on(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0) die("socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
    if (listen(listener, 1024) < 0) die("listen");
    return listener;
}

static void accept_all(int poll, int listener) {
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
        if (client < 0) return; /* EAGAIN: none is left; anything else: the next event tells */
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = client};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, client, &event) < 0) die("epoll_ctl");
    }
}

int main(int argc, char **argv) {
    static char chunk[CHUNK_BYTES], answer[ANSWER_BYTES_MAX];
    if (argc != 4) return 2;
    int ends = atoi(argv[3]);
    FILE *file = fopen(argv[2], "rb");
    if (!file) die(argv[2]);
    size_t answer_bytes = fread(answer, 1, sizeof answer, file);
    fclose(file);

    int listener = listen_on(atoi(argv[1]));
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS_MAX];
    if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event) < 0) die("epoll");
    for (;;) {
        int ready = epoll_wait(poll, events, EVENTS_MAX, -1);
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        for (int at = 0; at < ready; at++) {
            int client = events[at].data.fd;
            if (client == listener) {
                accept_all(poll, listener);
                continue;
            }
            ssize_t got = read(client, chunk, sizeof chunk);
            if (got < 0 && errno == EAGAIN) continue;
            if (got <= 0 || write(client, answer, answer_bytes) != (ssize_t)answer_bytes || ends) close(client);
        }
    }
}
