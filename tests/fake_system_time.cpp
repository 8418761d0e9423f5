// The fake machine's clock, and what a test asks to go wrong.
#include "fake_system.hpp"

#include <utility>

namespace pvegpu::testing {

// --- time ---

void FakeSystem::at(Milliseconds from_now, std::function<void()> event)
{
    events_.emplace(now_ + from_now, std::move(event));
}

void FakeSystem::interrupt_at(Milliseconds from_now)
{
    at(from_now, [this] { interrupted_ = true; });
}

void FakeSystem::advance(Milliseconds time)
{
    advance_to(now_ + time);
}

void FakeSystem::advance_to(Milliseconds time) const
{
    while (!events_.empty() && events_.begin()->first <= time) {
        const auto event = events_.extract(events_.begin());
        now_ = std::max(now_, event.key());
        event.mapped()();
        finish_blocked();
    }
    now_ = time;
    finish_blocked();
}

// A writer that was given up goes on as soon as the kernel lets it, as a real one does.
void FakeSystem::finish_blocked() const
{
    for (std::size_t i = 0; i < blocked_.size();) {
        if (!blocked_[i].may_go_on()) {
            ++i;
            continue;
        }
        const auto reaction = blocked_[i];
        blocked_.erase(blocked_.begin() + static_cast<std::ptrdiff_t>(i));
        reaction.effect();
    }
}

bool FakeSystem::wait_until(const std::function<bool()>& fact, Milliseconds timeout)
{
    constexpr Milliseconds look_again{10};
    const auto deadline = now_ + timeout;
    while (true) {
        if (std::exchange(interrupted_, false))
            throw Error(ErrorKind::interrupted,
                        {"the task was stopped, the next start repairs what is left"});
        if (fact()) return true;
        if (now_ >= deadline) return false;
        advance_to(std::min(now_ + look_again, deadline));
    }
}

std::int64_t FakeSystem::wall_clock() const
{
    return 1'700'000'000 + std::chrono::duration_cast<std::chrono::seconds>(elapsed()).count();
}

// --- faults ---

void FakeSystem::refuse_write(const std::string& path, int error_number, int times)
{
    refusals_[path] = {error_number, times};
}

void FakeSystem::hold_lock(const std::string& path, Milliseconds time)
{
    locks_[path] = now_ + time;
}

void FakeSystem::answer_run(const std::string& command, int status, const std::string& output)
{
    answers_[command] = {status, output};
}

} // namespace pvegpu::testing
