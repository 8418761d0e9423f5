// One function for each case of a variant: std::visit(Overloaded{[](const One&) {...}, [](const Other&)
// {...}}, value).
#pragma once

namespace pvegpu {

template <typename... Cases> struct Overloaded : Cases... {
    using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>; // clang 14 does not find it by itself

} // namespace pvegpu
