// shiftmap for C++17: a context that frees itself, errors as exceptions, any callable as progress.
#pragma once

#include <shiftmap.h>

#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace shiftmap {

struct Error : std::runtime_error {
    Error(int c, const std::string &text) : std::runtime_error(text), code(c) {}
    int code;
};

class Context {
  public:
    using Progress = std::function<bool(double, const char *)>;

    // Runs `f(ctx, arguments..., options, progress, userdata)`, e.g. `run(shiftmap_displacement, options, {}, pre, post, dst)`.
    template <class F, class... A>
    void run(F f, const std::vector<std::string> &options, Progress progress, A... arguments) {
        std::vector<const char *> list;
        for (const auto &o : options) list.push_back(o.c_str());
        list.push_back(nullptr);
        State state{std::move(progress), nullptr};
        int code = f(ctx_.get(), arguments..., list.data(), state.progress ? &Context::forward : nullptr, &state);
        if (state.thrown) std::rethrow_exception(state.thrown);
        if (code != SHIFTMAP_OK) throw Error(code, shiftmap_last_error(ctx_.get()));
    }

    shiftmap_context *get() { return ctx_.get(); }

  private:
    struct State { Progress progress; std::exception_ptr thrown; };

    // Exceptions must not cross C: they stop the run and are thrown again afterwards.
    static int forward(double fraction, const char *message, void *userdata) {
        auto *state = static_cast<State *>(userdata);
        try { return state->thrown == nullptr && state->progress(fraction, message); }
        catch (...) { state->thrown = std::current_exception(); return 0; }
    }

    std::unique_ptr<shiftmap_context, decltype(&shiftmap_context_free)> ctx_{shiftmap_context_new(), &shiftmap_context_free};
};

}  // namespace shiftmap
