#include "base/text.hpp"
#include "check/explain.hpp"
#include "check/facts.hpp"
#include "check/report_html.hpp"
#include "fuzz.hpp"

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto text = fuzz::text_of(data, size);
    const auto explained = print_explanations(explain(text));
    for (LineReader lines(explained); lines.next();) fuzz::require_printable(lines.line());
    const auto log = parse_kernel_log(text);
    fuzz::require(log.known.size() <= log.messages);
    for (const auto& line : log.known)
        fuzz::require(!line.like.empty() && line.like == messages_like(line.text));
    const auto html = escaped(text);
    fuzz::require_printable(html);
    fuzz::require(html.find_first_of("<>\"'") == std::string::npos);
    return 0;
}
