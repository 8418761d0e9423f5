// /etc/pve/user.cfg: which API tokens may clone.
#include "fuzz.hpp"
#include "proxmox/user_config.hpp"

#include <string>

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    constexpr std::int64_t now = 1'700'000'000;
    const auto text = fuzz::text_of(data, size);
    const auto tokens = cloning_tokens(text, now);
    for (const auto& token : tokens) {
        fuzz::require(text.find(token) != std::string_view::npos);
        const auto mark = token.find('!');
        fuzz::require(mark != std::string::npos && mark + 1 < token.size());
    }
    // Once more of the same is no more, and root with all of his privileges always may.
    fuzz::require(cloning_tokens(std::string(text) + "\n" + std::string(text), now) == tokens);
    return 0;
}
