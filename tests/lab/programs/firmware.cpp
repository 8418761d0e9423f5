// lab-firmware: all that runs in a virtual machine that the lab's machine starts, from its first instruction.
//
// It is the machine's firmware and not a boot sector, because Debian's SeaBIOS takes every xHCI controller
// into use before it boots: what the card was like when the guest came to it could not be seen any more. It
// stays in 32-bit mode, gives each function its addresses, and talks on the first serial port and on the
// second one, if there is one: what is said there is heard, too. Both of QEMU's machines of a PC will do:
// Proxmox' VMs here have the i440FX, and devices on bus 0; those of Incus have the Q35, and a port for each
// device. At each start:
//   vm: started
//   vm: 00:10.0 1234:1111 class 0380
//   vm: 00:1b.0 1b36:000d class 0c03 witness 00000000     an xHCI controller: see witness.cpp
//   vm: ready
// Then it does what single characters tell it, with an answer each:
//   d  marks the witness                            vm: witness 0000002a
//   w  looks at the witness                         vm: witness 00000000
//   m  lets the controller do DMA: it fetches a command and writes its event        vm: dma done
//   l  the same over and over, until the machine is reset or ends                   vm: dma goes on
//   r  resets the machine (port 0xcf9)
//   p  switches it off (ACPI)
//   i  ignores the power button from now on; without it the guest says 'vm: power button' and switches itself
//   off
#include <stdint.h>

// The processor begins in 16-bit mode, 16 bytes below 4 GiB. firmware.ld says what lies where.
asm(R"(
    .section .reset, "ax"
    .code16
    cli
    lgdtl %cs:0xffe0            # firmware.ld: .gdt_pointer
    movl %cr0, %eax
    orb $1, %al
    jmp into_32_bits

    .section .start, "ax"
into_32_bits:
    movl %eax, %cr0
    ljmpl $8, $begin
    .code32
begin:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $0x80000, %esp
    movl $memory_begin, %edi
    movl $memory_end, %ecx
    subl %edi, %ecx
    xorl %eax, %eax
    cld
    rep stosb
    call firmware
    .balign 8
gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff    # marked as used: the processor would do it, and this is ROM
    .section .gdt_pointer, "a"
    .word 23
    .long gdt

    .text
    .globl on_interrupt, on_fault
on_interrupt:
    pushal
    cld
    call interrupted
    popal
    iretl
on_fault:
    call fault
)");

extern "C" {
void on_interrupt();
void on_fault();
[[noreturn]] void firmware();
[[noreturn]] void fault();
void interrupted();
}

namespace {

void out8(uint16_t port, uint8_t value)
{
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
void out16(uint16_t port, uint16_t value)
{
    asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}
void out32(uint16_t port, uint32_t value)
{
    asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}
uint8_t in8(uint16_t port)
{
    uint8_t value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
uint16_t in16(uint16_t port)
{
    uint16_t value;
    asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
uint32_t in32(uint16_t port)
{
    uint32_t value;
    asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
volatile uint32_t& memory(uint32_t address)
{
    return *reinterpret_cast<volatile uint32_t*>(address);
}

// --- the serial ports ---

constexpr uint16_t serials[] = {0x3f8, 0x2f8};

// A port that is not there is read as all ones: it takes what it is given, and has nothing to say.
void say(const char* text)
{
    for (; *text != 0; ++text) {
        for (const auto serial : serials) {
            while ((in8(serial + 5) & 0x20) == 0) {
            }
            out8(serial, static_cast<uint8_t>(*text));
        }
    }
}

bool has_character(uint16_t serial)
{
    return (in8(serial + 5) & 0x81) == 1;
}

void say_hex(uint32_t value, int digits)
{
    char text[9] = {};
    for (int i = 0; i < digits; ++i)
        text[i] = "0123456789abcdef"[value >> static_cast<unsigned>(4 * (digits - 1 - i)) & 15];
    say(text);
}

// The power button, and whether the guest obeys it.
volatile bool button_pressed;
bool button_ignored;

// Sleeps until there is a character, or the power button is pressed: a guest that looks over and over keeps
// its host's processor busy.
char next_character()
{
    for (;;) {
        asm volatile("cli");
        if (button_pressed) {
            button_pressed = false;
            say("vm: power button\n");
            if (!button_ignored) return 'p';
        }
        for (const auto serial : serials)
            if (has_character(serial)) return static_cast<char>(in8(serial));
        asm volatile("sti; hlt");
    }
}

struct Gate {
    uint16_t low, selector, flags, high;
};
Gate gates[48];

// Those of the serial ports (4, 3) and of power management (9), behind the second controller (2): whatever
// else comes is a fault.
void set_up_interrupts()
{
    for (int i = 0; i < 48; ++i) {
        const auto handler = reinterpret_cast<uint32_t>(i < 32 ? on_fault : on_interrupt);
        gates[i] = {static_cast<uint16_t>(handler), 8, 0x8e00, static_cast<uint16_t>(handler >> 16)};
    }
    struct [[gnu::packed]] {
        uint16_t size;
        uint32_t address;
    } const table{sizeof gates - 1, reinterpret_cast<uint32_t>(gates)};
    asm volatile("lidt %0" : : "m"(table));
    // Both interrupt controllers: vectors 0x20 and 0x28, one behind the other.
    constexpr uint8_t first[] = {0x11, 0x20, 4, 1, 0xe3}, second[] = {0x11, 0x28, 2, 1, 0xfd};
    for (int i = 0; i < 5; ++i) {
        out8(i == 0 ? 0x20 : 0x21, first[i]);
        out8(i == 0 ? 0xa0 : 0xa1, second[i]);
    }
    memory(0xfee000f0) =
        0x1ff; // the processor's own controller lets them through, as a PC's firmware sets it
    memory(0xfee00350) = 0x700;
    for (const auto serial : serials) {
        out8(serial + 3, 3); // 8 bits
        out8(serial + 4, 8); // its interrupt reaches the controller
        out8(serial + 1, 1); // one for each character that comes
    }
}

// --- PCI ---

// A place is a bus, a slot and a function, as the standard numbers them.
unsigned place_of(unsigned bus, unsigned slot, unsigned function)
{
    return bus << 8 | slot << 3 | function;
}
uint32_t read_config(unsigned place, unsigned reg)
{
    out32(0xcf8, 0x80000000U | place << 8 | reg);
    return in32(0xcfc);
}
void write_config(unsigned place, unsigned reg, uint32_t value)
{
    out32(0xcf8, 0x80000000U | place << 8 | reg);
    out32(0xcfc, value);
}
bool is_present(unsigned place)
{
    return (read_config(place, 0) & 0xffff) != 0xffff;
}
bool is_q35()
{
    return read_config(0, 0) == 0x29c08086;
}

// --- power management ---

// The power management of the southbridge, at the ports where SeaBIOS puts it.
constexpr uint16_t power_status = 0x600, power_enable = 0x602, power_control = 0x604, power_button = 0x100;

void set_up_power()
{
    const bool q35 = is_q35();
    const auto southbridge = q35 ? place_of(0, 31, 0) : place_of(0, 1, 3);
    const unsigned enable = q35 ? 0x44 : 0x80;
    write_config(southbridge, 0x40, power_status | 1);
    write_config(southbridge, enable, read_config(southbridge, enable) | (q35 ? 0x80 : 1));
    out16(power_status, power_button); // one bits clear
    out16(power_enable, power_button);
}

// --- what is on the buses ---

uint32_t next_memory, next_port;
unsigned last_bus;
uint32_t xhci; // where the registers of the last one found are, 0 without one

void give_addresses(unsigned place)
{
    for (unsigned bar = 0x10; bar < 0x28; bar += 4) {
        write_config(place, bar, ~0U);
        const auto answer = read_config(place, bar);
        if (answer == 0) continue;
        const bool port = (answer & 1) != 0;
        const auto size = port ? (~(answer & 0xfffc) + 1) & 0xffff : ~(answer & ~0xfU) + 1;
        auto& next = port ? next_port : next_memory;
        next = (next + size - 1) & ~(size - 1);
        write_config(place, bar, next);
        next += size;
        if ((answer & 7) == 4) write_config(place, bar += 4, 0); // of 64 bits
    }
    write_config(place, 4, 7); // ports, memory, bus master
}

void say_witness()
{
    say("witness ");
    say_hex(xhci == 0 ? ~0U : memory(xhci + 0x78), 8);
}

void say_place(unsigned place)
{
    say_hex(place >> 8, 2);
    say(":");
    say_hex(place >> 3 & 31, 2);
    say(".");
    say_hex(place & 7, 1);
}

void look_at_bus(unsigned bus);

// Windows of a bridge are whole mebibytes. What is behind needs no ports and does without prefetching.
void look_behind(unsigned bridge)
{
    constexpr uint32_t window = 0x100000;
    const auto to_window = [] { next_memory = (next_memory + window - 1) & ~(window - 1); };
    const auto bus = ++last_bus;
    const auto buses = bus << 8 | bridge >> 8;
    write_config(bridge, 0x18, 0xff0000 | buses);
    to_window();
    const auto begin = next_memory;
    look_at_bus(bus);
    to_window();
    write_config(bridge, 0x18, last_bus << 16 | buses);
    write_config(bridge, 0x20, ((next_memory - 1) & ~(window - 1)) | begin >> 16);
    write_config(bridge, 0x24, 0xfff0); // begins above its end: none
    write_config(bridge, 4, 7);
}

void look_at(unsigned place)
{
    const auto id = read_config(place, 0);
    const auto classes = read_config(place, 8) >> 16;
    if (classes == 0x0604) look_behind(place);
    if (classes >> 8 == 6) return;
    say("vm: ");
    say_place(place);
    say(" ");
    say_hex(id & 0xffff, 4);
    say(":");
    say_hex(id >> 16, 4);
    say(" class ");
    say_hex(classes, 4);
    give_addresses(place);
    if (classes == 0x0c03) {
        xhci = read_config(place, 0x10) & ~0xfU;
        say(" ");
        say_witness();
    }
    say("\n");
}

void look_at_bus(unsigned bus)
{
    for (unsigned slot = 0; slot < 32; ++slot) {
        // The machine's own: the host bridge, and the southbridge.
        if (bus == 0 && (slot == 0 || slot == (is_q35() ? 31 : 1))) continue;
        if (!is_present(place_of(bus, slot, 0))) continue;
        const bool several = (read_config(place_of(bus, slot, 0), 0xc) & 0x800000) != 0;
        for (unsigned function = 0; function < (several ? 8U : 1U); ++function)
            if (is_present(place_of(bus, slot, function))) look_at(place_of(bus, slot, function));
    }
}

void look_at_buses()
{
    next_memory = 0xc0000000;
    next_port = 0xc000;
    last_bus = 0;
    look_at_bus(0);
}

// --- DMA: the xHCI controller fetches a command (one that does nothing) and writes an event ---

struct Request {
    uint32_t words[4];
};
constexpr unsigned ring_size = 16;
alignas(4096) volatile Request commands[ring_size], events[ring_size];
alignas(64) uint32_t contexts[64], segments[4];
unsigned command, event, command_cycle, event_cycle;
bool dma_has_begun;

uint32_t low(volatile void* pointer)
{
    return reinterpret_cast<uint32_t>(pointer);
}

void begin_dma()
{
    const auto op = xhci + (memory(xhci) & 0xff), interrupter = xhci + (memory(xhci + 0x18) & ~31U) + 0x20;
    command_cycle = event_cycle = 1;
    dma_has_begun = true;
    commands[ring_size - 1].words[0] = low(commands); // a link back to the first
    segments[0] = low(events);
    segments[2] = ring_size;
    memory(op + 0x30) = low(contexts);
    memory(op + 0x34) = 0;
    memory(op + 0x18) = low(commands) | 1;
    memory(op + 0x1c) = 0;
    memory(interrupter + 0x08) = 1;
    memory(interrupter + 0x18) = low(events);
    memory(interrupter + 0x1c) = 0;
    memory(interrupter + 0x10) = low(segments);
    memory(interrupter + 0x14) = 0;
    memory(op) = 1; // run
}

bool dma()
{
    if (xhci == 0) return false;
    if (!dma_has_begun) begin_dma();
    constexpr uint32_t no_operation = 23U << 10, link = 6U << 10 | 2;
    commands[command].words[3] = no_operation | command_cycle;
    if (++command == ring_size - 1) {
        commands[command].words[3] = link | command_cycle;
        command = 0;
        command_cycle ^= 1;
    }
    memory(xhci + (memory(xhci + 0x14) & ~3U)) = 0; // the doorbell of commands
    for (unsigned patience = 10'000'000; (events[event].words[3] & 1) != event_cycle; --patience)
        if (patience == 0) return false;
    const bool done = events[event].words[2] >> 24 == 1;
    if (++event == ring_size) {
        event = 0;
        event_cycle ^= 1;
    }
    memory(xhci + (memory(xhci + 0x18) & ~31U) + 0x38) = low(&events[event]) | 8;
    return done;
}

// --- the end ---

void reset_machine()
{
    out8(0xcf9, 2);
    out8(0xcf9, 6);
}

void switch_off()
{
    out16(power_control, 0x2000);
}

void obey(char character)
{
    if (character == 'd') memory(xhci + 0x78) = 0x2a;
    if (character == 'd' || character == 'w') {
        say("vm: ");
        say_witness();
        say("\n");
    } else if (character == 'm') {
        say(dma() ? "vm: dma done\n" : "vm: dma failed\n");
    } else if (character == 'l') {
        say(dma() ? "vm: dma goes on\n" : "vm: dma failed\n");
        while (dma()) {
        }
    } else if (character == 'r') {
        reset_machine();
    } else if (character == 'p') {
        switch_off();
    } else if (character == 'i') {
        button_ignored = true;
    }
}

} // namespace

void interrupted()
{
    if ((in16(power_status) & power_button) != 0) {
        out16(power_status, power_button);
        button_pressed = true;
    }
    out8(0xa0, 0x20);
    out8(0x20, 0x20);
}

void fault()
{
    say("vm: fault\n");
    for (;;) asm volatile("cli; hlt");
}

void firmware()
{
    set_up_interrupts();
    set_up_power();
    say("vm: started\n");
    look_at_buses();
    say("vm: ready\n");
    for (;;) obey(next_character());
}
