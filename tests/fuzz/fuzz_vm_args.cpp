// A VM's `args`: whatever stands there, our words go in and come out, and the rest stays.
#include "fuzz.hpp"
#include "proxmox/vm_args.hpp"

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto text = fuzz::text_of(data, size);
    std::size_t last = 0;
    for (const auto& word : args_words(text).words) {
        fuzz::require(word.begin >= last && word.end > word.begin && word.end <= size);
        last = word.end;
    }
    read_vm_args(text);
    const auto without = without_monitor(text);
    fuzz::require(without.size() <= size);
    const auto with = with_monitor(text);
    if (!with) return 0;
    fuzz::require(has_monitor(*with));
    fuzz::require(with_monitor(*with) == with);
    if (!has_monitor(text)) fuzz::require(without_monitor(*with) == without);
    return 0;
}
