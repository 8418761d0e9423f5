// What passes between a BoundedChild and its process, and the process's side of it.
#pragma once

#include <cstdint>
#include <string>

namespace pvegpu {

struct TaskMessage {
    std::uint32_t task = 0; // a BoundedChild::Task
    std::uint64_t number = 0;
    std::string path;
    std::string text;
};

struct AnswerHead {
    std::int32_t error_number = 0; // 0: done
    std::uint64_t length = 0;      // of the text that follows
    std::int64_t milliseconds = 0; // that the task took
};

// The message as it goes over the channel.
std::string pack(const TaskMessage& message);

// The life of the child: one task after the other until the channel closes, then the guarded writes. Nothing
// is thrown: the parent's handlers are on the child's stack too, and it would go on as a second parent.
[[noreturn]] void serve_tasks(int channel) noexcept;

} // namespace pvegpu
