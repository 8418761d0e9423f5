// What is so, and what to do about it.
#pragma once

#include <string>
#include <vector>

namespace pvegpu {

struct Advice {
    std::string fact; // in lower case, without a full stop, ids in single quotes
    std::string remedy =
        {}; // what to do, or what it means for the guest; empty where there is nothing to say

    bool operator==(const Advice&) const = default;
};

// "fact; remedy"
inline std::string to_string(const Advice& advice)
{
    return advice.remedy.empty() ? advice.fact : advice.fact + "; " + advice.remedy;
}

inline std::vector<std::string> sentences(const std::vector<Advice>& list)
{
    std::vector<std::string> texts;
    texts.reserve(list.size());
    for (const auto& advice : list) texts.push_back(to_string(advice));
    return texts;
}

} // namespace pvegpu
