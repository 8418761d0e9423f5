// floor LIST
//
// What the writes themselves cost: does those of LIST with plain open, write and close, checks nothing, and
// waits only for what must hold before the next write. A line of LIST is `write PATH TEXT`, `gone PATH` or
// `back PATH`. Prints for each write "MICROSECONDS PATH", when all is done.
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

namespace {

constexpr int most_lines = 1000;
constexpr int longest_line = 400;

struct Line {
    char text[longest_line];
    const char* path;
    const char* value;
    long took;
};
Line lines[most_lines]; // in the program, not on the heap: nothing is allocated

long microseconds()
{
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000 + now.tv_nsec / 1'000;
}

// "write PATH TEXT\n" in place: the words get ends.
void split(Line& line)
{
    line.text[std::strcspn(line.text, "\n")] = '\0';
    char* const path = line.text + std::strcspn(line.text, " ");
    char* const value = path + 1 + std::strcspn(path + 1, " ");
    line.value = *value == '\0' ? value : value + 1;
    *path = *value = '\0';
    line.path = path + 1;
}

int read_list(const char* name)
{
    std::FILE* const list = std::fopen(name, "re");
    int count = 0;
    while (list != nullptr && count < most_lines &&
           std::fgets(lines[count].text, longest_line, list) != nullptr)
        split(lines[count++]);
    return list != nullptr ? count : -1;
}

bool write_value(const Line& line)
{
    const int file = open(line.path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return false;
    const auto size = std::strlen(line.value);
    const bool done = write(file, line.value, size) == static_cast<ssize_t>(size);
    return close(file) == 0 && done;
}

void wait_for(const char* path, bool there)
{
    while ((access(path, F_OK) == 0) != there) usleep(1000);
}

} // namespace

int main(int count, char** words)
{
    const int last = count == 2 ? read_list(words[1]) : -1;
    if (last < 0) {
        std::fputs("usage: floor LIST\n", stderr);
        return 2;
    }
    for (Line* line = lines; line != lines + last; ++line) {
        const long begin = microseconds();
        if (line->text[0] != 'w') {
            wait_for(line->path, line->text[0] == 'b');
        } else if (!write_value(*line)) {
            std::perror(line->path);
            return 1;
        }
        line->took = microseconds() - begin;
    }
    for (const Line* line = lines; line != lines + last; ++line)
        if (line->text[0] == 'w') std::printf("%ld %s\n", line->took, line->path);
}
