// lab-eject
//
// Tells QEMU that every device whose unplugging it has asked for (QMP device_del) may go: what the firmware's
// _EJ0 does. Needed since QEMU 7.2's firmware tables are wrong below a switch ("Could not resolve symbol
// [^S28.PCNT]"), so that the kernel never hears of the request. Prints how many slots were ejected.
#include <cstdio>
#include <sys/io.h>

int main()
{
    // QEMU, docs/specs/acpi_pci_hotplug: the registers of the q35 machine.
    constexpr unsigned short base = 0x0cc0;
    constexpr unsigned short down = base + 4;
    constexpr unsigned short eject = base + 8;
    constexpr unsigned short select_bus = base + 16;
    constexpr unsigned buses = 64; // more than any machine here has

    if (::iopl(3) != 0) {
        std::perror("lab-eject");
        return 1;
    }
    int ejected = 0;
    for (unsigned bus = 0; bus < buses; ++bus) {
        outl(bus, select_bus);
        if (const unsigned slots = inl(down); slots != 0) {
            outl(slots, eject);
            ++ejected;
        }
    }
    std::printf("%d\n", ejected);
    return ejected == 0;
}
