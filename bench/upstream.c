/* SPDX-License-Identifier: Apache-2.0
 *
 * upstream: the cheapest API there is. One thread, epoll, HTTP/1.1 keep-alive, one fixed answer for every request
 * without a body. Listens on a free port of 127.0.0.1 and prints it. It reads until the empty line, and no further
 * sense is made of what is sent: it stands behind a proxy that has done so.
 *
 *   cc -O2 -D_GNU_SOURCE -o upstream upstream.c
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILES 4096

static const char answer[] = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\nok\n";
static const char end[] = "\r\n\r\n";
static int matched[FILES]; /* how much of the empty line each connection has seen */

int main(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int on = 1, ep = epoll_create1(0), listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listening, (struct sockaddr *)&at, sizeof at) || listen(listening, 512) ||
        getsockname(listening, (struct sockaddr *)&at, &size)) {
        perror("upstream");
        return 1;
    }
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listening};
    epoll_ctl(ep, EPOLL_CTL_ADD, listening, &event);
    for (;;) {
        struct epoll_event ready[256];
        int n = epoll_wait(ep, ready, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            if (fd == listening) {
                fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0) continue;
                if (fd >= FILES) { close(fd); continue; }
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                matched[fd] = 0;
                event.data.fd = fd;
                epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
                continue;
            }
            char got[16384];
            ssize_t length = read(fd, got, sizeof got);
            if (length <= 0) { close(fd); continue; }
            for (ssize_t at_byte = 0; at_byte < length; at_byte++) {
                if (got[at_byte] != end[matched[fd]]) matched[fd] = 0;
                if (got[at_byte] == end[matched[fd]] && ++matched[fd] == 4) {
                    matched[fd] = 0;
                    if (write(fd, answer, sizeof answer - 1) < 0) break;
                }
            }
        }
    }
}
