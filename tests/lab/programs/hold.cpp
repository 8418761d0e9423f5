// lab-hold group NUMBER [ADDRESS]   opens /dev/vfio/NUMBER; with ADDRESS also the device in it, as QEMU does
// lab-hold open PATH                opens any file or device node
//
// Says "holding" and stays until its standard input ends or it is told to terminate.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/vfio.h>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>

namespace {

[[noreturn]] void fail(const std::string& what)
{
    std::perror(("lab-hold: " + what).c_str());
    std::exit(1);
}

int open_or_fail(const std::string& path, int flags)
{
    const int file = ::open(path.c_str(), flags | O_CLOEXEC);
    if (file < 0) {
        fail(path);
    }
    return file;
}

void open_device_of(int group, const char* address)
{
    int container = open_or_fail("/dev/vfio/vfio", O_RDWR);
    vfio_group_status status{};
    status.argsz = sizeof status;
    if (::ioctl(group, VFIO_GROUP_GET_STATUS, &status) != 0 ||
        (status.flags & VFIO_GROUP_FLAGS_VIABLE) == 0) {
        fail("the group is not viable: every device in it must be on vfio-pci or without a driver");
    }
    if (::ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) != 0) {
        fail("VFIO_GROUP_SET_CONTAINER");
    }
    if (::ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) != 0) {
        fail("VFIO_SET_IOMMU");
    }
    if (::ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address) < 0) {
        fail(address);
    }
}

void hold_until_told()
{
    std::puts("holding");
    std::fflush(stdout);
    char ignored[64];
    while (::read(STDIN_FILENO, ignored, sizeof ignored) > 0) {
    }
}

} // namespace

int main(int count, char** words)
{
    const std::string what = count > 1 ? words[1] : "";
    if (what == "group" && (count == 3 || count == 4)) {
        const int group = open_or_fail(std::string("/dev/vfio/") + words[2], O_RDWR);
        if (count == 4) {
            open_device_of(group, words[3]);
        }
    } else if (what == "open" && count == 3) {
        open_or_fail(words[2], O_RDONLY);
    } else {
        std::fputs("usage: lab-hold group NUMBER [ADDRESS] | lab-hold open PATH\n", stderr);
        return 2;
    }
    hold_until_told();
}
