// What somebody may have meant by a word that is not known.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// "; did you mean 'install'?": the first of the known words that is nearest. Empty if none is near: by more
// than two letters that are missing, too many, others or exchanged, or by half of the word.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

} // namespace pvegpu
