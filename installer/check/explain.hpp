// What a person is told who shows us a message, or a whole log.
#pragma once

#include "base/json.hpp"
#include "check/known_messages.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

enum class Place { cause, consequence, harmless };

struct Explanation {
    const KnownMessage* message = nullptr;
    std::optional<PciAddress> device; // that the line names
    std::string line;                 // the first of them
    unsigned times = 0;
    Place place = Place::cause;
    std::string remedy; // with the numbers of the guests
};

// Each message that is known, once for each device. Causes stand before what they bring about, harmless
// messages last. Empty where none of the lines is known.
std::vector<Explanation> explain(std::string_view text, const std::vector<unsigned>& vms = {},
                                 const std::vector<unsigned>& containers = {});
std::string print_explanations(const std::vector<Explanation>& explanations);
Json explanations_json(const std::vector<Explanation>& explanations); // "pve-gpu-hook/explain/1"

} // namespace pvegpu
