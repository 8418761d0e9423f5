// lab-witness read|dirty|clear DEVICE_DIRECTORY
//
// The witness of a real reset: a register of qemu-xhci, one more function of each emulated card, that only a
// bus reset clears and that no loaded driver touches: the 32-bit word at BAR0 + 0x78 (DCBAAP's neighbour, one
// byte of it is kept). `dirty` marks it, `read` prints it. Exit 3: the device does not decode its memory (BAR
// not assigned, or fell off).
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace {

constexpr off_t witness_offset = 0x78;
constexpr std::uint32_t mark = 0x2a; // fits the one byte that the register keeps
constexpr off_t pci_command = 0x04;
constexpr std::uint16_t memory_decoding = 0x2;

[[noreturn]] void fail(const std::string& what)
{
    std::perror(("lab-witness: " + what).c_str());
    std::exit(3);
}

int open_or_fail(const std::string& path)
{
    const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (file < 0) {
        fail(path);
    }
    return file;
}

// A device without a driver, and one that was just reset, does not answer to memory accesses until this is
// on.
void enable_memory(const std::string& device)
{
    const int config = open_or_fail(device + "/config");
    std::uint16_t command = 0;
    if (::pread(config, &command, sizeof command, pci_command) != sizeof command) {
        fail("config");
    }
    command |= memory_decoding;
    if (::pwrite(config, &command, sizeof command, pci_command) != sizeof command) {
        fail("config");
    }
    ::close(config);
}

volatile std::uint32_t* map_witness(const std::string& device)
{
    const int resource = open_or_fail(device + "/resource0");
    void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, resource, 0);
    if (page == MAP_FAILED) {
        fail("resource0");
    }
    return reinterpret_cast<volatile std::uint32_t*>(static_cast<char*>(page) + witness_offset);
}

} // namespace

int main(int count, char** words)
{
    if (count != 3) {
        std::fputs("usage: lab-witness read|dirty|clear DEVICE_DIRECTORY\n", stderr);
        return 2;
    }
    const std::string verb = words[1];
    const std::string device = words[2];
    enable_memory(device);
    volatile std::uint32_t* witness = map_witness(device);
    if (verb == "dirty") {
        *witness = mark;
    } else if (verb == "clear") {
        *witness = 0;
    }
    std::printf("0x%08x\n", static_cast<unsigned>(*witness));
    return 0;
}
