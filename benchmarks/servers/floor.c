/* The least that a fan-out can cost: what one client sends is sent to every client, one system call each. */
#define _GNU_SOURCE /* accept4 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CLIENTS = 1 << 17, BATCH = 256 };

static int clients[MAX_CLIENTS], count;
static char buffer[1 << 16];

static void watch(int poller, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static void welcome(int poller, int listener) {
    int yes = 1, client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (client < 0 || count == MAX_CLIENTS) return;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    clients[count++] = client;
    watch(poller, client);
}

static void part(int fd) {
    for (int i = 0; i < count; i++)
        if (clients[i] == fd) clients[i] = clients[--count];
    close(fd);
}

static void hear(int fd) {
    ssize_t size = recv(fd, buffer, sizeof buffer, 0);
    if (size <= 0) {
        if (size == 0 || errno != EAGAIN) part(fd);
        return;
    }
    if (memchr(buffer, '*', size) == NULL) return; /* a hello, not a message */
    for (int i = 0; i < count; i++) send(clients[i], buffer, size, MSG_NOSIGNAL);
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0), poller = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) return 1;
    watch(poller, listener);
    for (;;) {
        struct epoll_event events[BATCH];
        int ready = epoll_wait(poller, events, BATCH, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listener) welcome(poller, listener);
            else hear(events[i].data.fd);
        }
    }
}
