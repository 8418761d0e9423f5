// One function for each case of a variant: std::visit(Overloaded{[](const One&) {...}, [](const Other&)
// {...}}, value).
#pragma once

namespace pvegpu {

template <typename... Cases> struct Overloaded : Cases... {
    using Cases::operator()...;
};

} // namespace pvegpu
