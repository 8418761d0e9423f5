// Paths below the directory that `--root` names, as the live host's are below `/`.
#pragma once

#include <string>

namespace pvegpu {

class RootDirectory {
public:
    // Throws Error if there is no such directory. Empty: the live host, where every path is taken as it is.
    explicit RootDirectory(const std::string& directory);

    bool is_live_host() const { return directory_.empty(); }

    // Where `path` really is. Links on the way are followed as if the directory were `/`: an absolute one in
    // a copied tree would lead to the live host otherwise. What does not exist yet is below its nearest
    // directory that does. `resolve` goes through a link that `path` itself is, `resolve_nofollow` stays at
    // it.
    std::string resolve(const std::string& path) const;
    std::string resolve_nofollow(const std::string& path) const;

private:
    std::string directory_; // absolute
};

} // namespace pvegpu
