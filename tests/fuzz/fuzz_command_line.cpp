// The kernel's command line, GRUB's defaults, /proc/cpuinfo and a kernel's release: what the installer reads
// of a host's boot.
#include "base/text.hpp"
#include "fuzz.hpp"
#include "host/kernel_cmdline.hpp"
#include "recovery/native_drivers.hpp"

using namespace pvegpu;

namespace {

// What is missing is missing no more once it has been appended, and nothing that was there is lost.
void check_appended(std::string_view text)
{
    const auto line = text.substr(0, text.find('\n'));
    const auto given = parse_command_line(line);
    const auto missing = missing_tokens({"intel_iommu=on", "iommu=pt"}, given);
    const auto after = append_tokens(text, missing);
    const auto rest = text.substr(line.size());
    fuzz::require(after.find('\n') != std::string::npos);
    fuzz::require(after.ends_with(rest.empty() ? "\n" : rest));
    fuzz::require(after.starts_with(trim(line)));
    if (std::count(line.begin(), line.end(), '"') % 2 == 0) // else all that follows is within the quotes
        fuzz::require(missing_tokens({"intel_iommu=on", "iommu=pt"}, parse_cmdline_file(after)).empty());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto text = fuzz::text_of(data, size);
    const auto tokens = parse_command_line(text);
    fuzz::require(parse_command_line(join(tokens, " ")) == tokens);
    for (const auto& warning : command_line_warnings(tokens)) fuzz::require_printable(to_string(warning));
    for (const auto& warning : command_line_warnings(parse_grub_defaults(text)))
        fuzz::require_printable(to_string(warning));
    check_appended(text);
    parse_cpu_vendor(text);
    if (honours_autoprobe_on_rescan(text)) fuzz::require(version_before(text, {6, 19}) == false);
    return 0;
}
