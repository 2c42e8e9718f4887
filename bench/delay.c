/* SPDX-License-Identifier: Apache-2.0
 *
 * delay: a link between two network namespaces on which every packet takes so many milliseconds in each direction,
 * where the kernel has no netem. Two tun devices, and what comes out of one is written to the other when it is time.
 *
 *   delay MILLISECONDS CLIENT_PREFIX SERVER_NETWORK     (198.18.0 198.19.0.0/16)
 *
 * Makes both namespaces, prints a process in each of them (client, server), and runs until it is told to end. Needs
 * root. Everything it has made goes with it.
 *
 *   cc -O2 -D_GNU_SOURCE -o delay delay.c
 */
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 16384 /* packets on the way in one direction */
#define LONGEST 1600

struct packet {
    long long due;
    int length;
    char octets[LONGEST];
};

struct way {
    int from, to;
    unsigned head, tail;
    struct packet *packets;
};

static long long now_us(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000LL + at.tv_nsec / 1000;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void run(const char *command) {
    if (system(command)) {
        fprintf(stderr, "failed: %s\n", command);
        exit(1);
    }
}

/* A namespace of its own, and a tun device in it. */
static int tun_in_new_namespace(const char *name) {
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    if (unshare(CLONE_NEWNET)) fail("unshare");
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) fail("/dev/net/tun");
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(fd, TUNSETIFF, &request)) fail("TUNSETIFF");
    return fd;
}

static void take(struct way *way, long long delay) {
    while (way->head - way->tail < SLOTS) {
        struct packet *packet = &way->packets[way->head % SLOTS];
        packet->length = read(way->from, packet->octets, LONGEST);
        if (packet->length <= 0) return;
        packet->due = now_us() + delay;
        way->head++;
    }
}

static void give(struct way *way) {
    long long now = now_us();
    while (way->tail != way->head) {
        struct packet *packet = &way->packets[way->tail % SLOTS];
        if (packet->due > now) return;
        if (write(way->to, packet->octets, packet->length) < 0) { /* dropped, as a link would */
        }
        way->tail++;
    }
}

int main(int count, char **words) {
    char command[512];
    if (count != 4) return 2;
    long long delay = atoll(words[1]) * 1000;
    int client = tun_in_new_namespace("bench0");
    snprintf(command, sizeof command,
             "ip link set lo up && ip addr add %s.1/24 dev bench0 && ip link set bench0 txqueuelen 10000 up && "
             "ip route add %s dev bench0 && sysctl -q -w net.ipv4.ip_local_port_range='10000 65000'",
             words[2], words[3]);
    run(command);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) fail("pipe");
    pid_t holder = fork(); /* keeps the namespace of the client, and ends with us */
    if (holder < 0) fail("fork");
    if (!holder) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) pause();
    }
    int server = tun_in_new_namespace("bench1");
    snprintf(command, sizeof command,
             "ip link set lo up && ip link set bench1 txqueuelen 10000 up && ip route add local %s dev lo && "
             "ip route add %s.0/24 dev bench1 && sysctl -q -w net.core.somaxconn=8192 net.ipv4.tcp_max_syn_backlog=8192",
             words[3], words[2]);
    run(command);
    printf("%d %d\n", (int)holder, (int)getpid());
    fflush(stdout);
    struct way ways[2] = {{.from = client, .to = server}, {.from = server, .to = client}};
    struct pollfd polled[2] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
    for (int i = 0; i < 2; i++)
        if (!(ways[i].packets = malloc(SLOTS * sizeof(struct packet)))) fail("malloc");
    for (;;) {
        long long next = -1;
        for (int i = 0; i < 2; i++)
            if (ways[i].tail != ways[i].head) {
                long long due = ways[i].packets[ways[i].tail % SLOTS].due;
                if (next < 0 || due < next) next = due;
            }
        long long wait = next < 0 ? -1 : next - now_us();
        poll(polled, 2, next < 0 ? -1 : wait <= 0 ? 0 : (int)(wait / 1000) + 1);
        for (int i = 0; i < 2; i++) {
            if (polled[i].revents & POLLIN) take(&ways[i], delay);
            give(&ways[i]);
        }
    }
}
