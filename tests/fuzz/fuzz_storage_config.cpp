// /etc/pve/storage.cfg, and the volumes that name a hookscript.
#include "fuzz.hpp"
#include "printers.hpp"

using namespace pvegpu;

namespace {

bool stays_below(std::string_view path)
{
    return path.starts_with('/') && path.find("/../") == std::string_view::npos && !path.ends_with("/..");
}

// A storage's path and the directory below it are one text here; where they meet is lost with blanks and
// commas.
bool is_plain(const Storage& storage)
{
    return storage.snippets.find_first_of(" \t\n\v\f\r,") == std::string::npos;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto text = fuzz::text_of(data, size);
    const auto storages = parse_storages(text);
    for (const auto& storage : storages) {
        fuzz::require(storage.snippets.empty() || stays_below(storage.snippets));
        const auto path = snippet_path(storages, storage.id + ":snippets/" + std::string(text.substr(0, 20)));
        fuzz::require(!path || stays_below(*path));
        if (!is_plain(storage)) continue;
        const auto again = parse_storages(fuzz::print({storage}));
        fuzz::require(again.size() == 1 && fuzz::same(again.front(), storage));
    }
    const auto* chosen = choose_storage(storages, "pve1");
    fuzz::require(chosen == nullptr || (chosen->enabled && chosen->on_node("pve1")));
    return 0;
}
