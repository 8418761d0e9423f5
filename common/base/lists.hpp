// What is asked of lists again and again.
#pragma once

#include <algorithm>
#include <functional>

namespace pvegpu {

// `member` is what of each entry is compared: a pointer to a member, or a function.
template <typename List, typename Value, typename Member = std::identity>
bool contains(const List& list, const Value& value, Member member = {})
{
    return std::ranges::find(list, value, member) != list.end();
}

// The first whose member has that value; nullptr if none has.
template <typename List, typename Value, typename Member>
auto* find_by(List& list, const Value& value, Member member)
{
    const auto found = std::ranges::find(list, value, member);
    return found == list.end() ? nullptr : &*found;
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
