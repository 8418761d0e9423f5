// crowd N
//
// Makes the machine a busy host: N processes that wait, with ten open files each, until the machine ends.
// Ten, because a host with 100 guests has 2,084 processes and 22,000 open files, and the kernel's own threads
// have none. They are such as a guest's QEMU has most.
#include <cstdio>
#include <cstdlib>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

// Standard input, output and error are the first three. Each child gets all of them from its parent.
bool open_seven()
{
    int pair[2];
    bool done = socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0;
    for (int i = 0; i < 5; ++i) done = eventfd(0, 0) >= 0 && done;
    return done;
}

} // namespace

int main(int count, char** words)
{
    if (count != 2 || !open_seven()) {
        std::fputs("usage: crowd N\n", stderr);
        return 2;
    }
    for (int left = std::atoi(words[1]); left > 0; --left) {
        const pid_t pid = fork();
        while (pid == 0) pause();
        if (pid < 0) {
            std::perror("crowd");
            return 1;
        }
    }
}
