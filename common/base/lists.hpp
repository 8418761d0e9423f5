// What is asked of lists again and again.
#pragma once

#include <algorithm>

namespace pvegpu {

template <typename List, typename Value> bool contains(const List& list, const Value& value)
{
    return std::ranges::find(list, value) != list.end();
}

// The first that passes the test; nullptr if none does.
template <typename List, typename Test> auto* find_where(List& list, Test test)
{
    const auto found = std::ranges::find_if(list, test);
    return found == list.end() ? nullptr : &*found;
}

template <typename List, typename More> void append(List& list, const More& more)
{
    list.insert(list.end(), more.begin(), more.end());
}

} // namespace pvegpu
