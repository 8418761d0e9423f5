// What QEMU's monitor says, and what our own notes say: a hostile QEMU, a damaged file.
#include "events/hindrance.hpp"
#include "events/notes.hpp"
#include "events/qmp.hpp"
#include "fuzz.hpp"

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto text = fuzz::text_of(data, size);
    if (const auto message = parse_qmp(text)) {
        fuzz::require(text.size() <= longest_qmp_line);
        if (is_reset(*message)) fuzz::require(!message->text("reason").empty());
        has_chardev(message->body, "pve-gpu-hook", "/tmp/qemu-socket-A");
    }
    if (const auto note = parse_reader_note(text)) {
        const auto printed = print_reader_note(*note);
        fuzz::require_printable(std::string_view(printed).substr(0, printed.size() - 1));
        fuzz::require(parse_reader_note(printed).has_value());
    }
    fuzz::require(parse_restart_times(text).size() <= size);
    is_locked(text, 77);
    return 0;
}
