"""The sentences `app.wording.explain` fills in, by reason and notice code; those of errors are in
`app.wording.errors`.

Plain words, short, no blame. Data only.
"""

# by method of `runtime.answer.voting`
PICKS: dict[str, str] = {
    "majority": "Answer {number} was chosen: {votes} of {count} answers reached the result"
    " {result}.",
    "agreement": "Answer {number} was chosen: of {count} answers, it shares the most wording"
    " with the others.",
    "only": "There is only one answer.",
}

REASONS: dict[str, str] = {
    "engine_faster": "{engine} decodes at {decode_tps} here and {other} at {other_decode_tps},"
    " measured with this model.",
    "engines_equal": "{engine} and {other} decode equally fast here ({decode_tps} and"
    " {other_decode_tps}).",
    "engine_only": "{engine}: the only engine that has run this model here.",
    "other_build": "Using the build {build}.",
    "other_build_unmeasured": "Using the build {build}. Its quality loss has not been"
    " measured; `stillroom quality {build} --against {source}`"
    " measures it.",
    "other_build_measured": "Using the build {build}; its mean KL divergence from {against} is"
    " {kl_mean}.",
    "other_build_damaged": "Using the build {build}, which is damaged: some of its predictions are"
    " not numbers. Quantize or download it again.",
    "engine_reaches_device": "{engine}: it supports {device}.",
    "engines_not_measured": "{engine}; the model is also installed for another engine, and"
    " `stillroom profile` measures which is faster.",
    "device_failed": "{device} was planned but failed: {why}. This is the next best choice.",
    "cpu_library_own": "the engine was compiled for this processor",
    "cpu_library_best": "{library}: the best of {count} for this processor, and its self-test"
    " passed",
    "cpu_library_next": "{library}: the best of {count} whose self-test passed; {failed} failed",
    "cpu_library_none": "no library passed its self-test: {failed}",
    "draft_model": "{draft} drafts tokens ahead (+{needed} memory) and is used only while it"
    " makes answers faster.",
    "draft_engine": "{draft} cannot be the draft model: only with llama.cpp and flash attention"
    " do its drafts leave answers as they are.",
    "draft_device": "{draft} cannot be the draft model: answers stay the same only with all"
    " blocks on the CPU, and some are on {device}.",
    "draft_not_smaller": "{draft} cannot be the draft model: it is not a GGUF file smaller"
    " than the model.",
    "draft_does_not_fit": "{draft} cannot be the draft model: the {needed} it needs do not fit"
    " beside the model.",
    "draft_tokenizer_differs": "{draft} cannot be the draft model: its tokenizer is {theirs},"
    " the model's is {target}.",
    "draft_vocabulary_size_differs": "{draft} cannot be the draft model: its vocabulary has"
    " {theirs} tokens, the model has {target}.",
    "draft_bos_differs": "{draft} cannot be the draft model: its BOS token is {theirs}, the"
    " model's is {target}.",
    "draft_eos_differs": "{draft} cannot be the draft model: its EOS token is {theirs}, the"
    " model's is {target}.",
    "draft_token_differs": "{draft} cannot be the draft model: token {token} is {theirs}"
    " there, but {target} in the model.",
    "fastest_predicted": "The fastest of the placements that fit ({decode_tps} predicted).",
    "only_one_fits": "The only placement that fits.",
    "speed_unknown": "Nothing has been measured here yet, so the default order of placements"
    " applies.",
    "context_is_the_models": "Context: {n_ctx} tokens, the most the model was trained for.",
    "context_is_the_files": "Context: {n_ctx} tokens, the most this file was exported for.",
    "context_compiled": "Context: {n_ctx} tokens, the most its graph for {device} was exported"
    " for.",
    "context_limited_by_memory": "Context: {n_ctx} tokens, because {wanted} would not fit.",
    "context_for_reasoning": "Context: {n_ctx} tokens, to leave room for reasoning.",
    "context_default": "Context: {n_ctx} tokens, enough for most chats.",
    "threads_are_physical_cores": "{n_threads} threads: one for each available core.",
    "device_unmeasured": "No speed is predicted: {device} has not been measured yet.",
    "speed_doubtful": "The machine was busy or its readings varied during the measurement, so"
    " ranges are wider.",
    "rpc_speed_assumed": "The compute speed of an RPC server is not known; it is assumed to"
    " match this machine, so ranges are wide.",
    "threads_fastest_here": "{n_threads} of {cores} threads for decoding: more were slower"
    " when this machine was measured.",
    "lm_head_on_cpu": "Embeddings and LM head stay on the CPU.",
    "lm_head_with_body": "The LM head is on {device} with the blocks.",
    "partial_offload": "{blocks} blocks are on {device}: more would not fit.",
    "small_ubatch": "Prompts are processed {n_ubatch} tokens at a time instead of {usual}:"
    " larger compute buffers would not fit.",
    "weights_estimated": "Sizes are estimates for {block_format}: the file has not been"
    " downloaded yet.",
    "rpc_link": "{device}: the link has a round trip of {trip_us} µs and a bandwidth of"
    " {gb_per_second} GB/s, which adds at least {token_ms} ms to each token.",
    "device_left_out": "{device} is not used: {why}.",
    "slower": "slower",
    "not_preferred": "not preferred",
    "context_not_compiled": "its graph was exported for {longest} tokens",
    "does_not_fit": "does not fit: {needed} needed on {device}, {available} free",
    # of the format that is taken; "expected KL" is the mean KL divergence from the original
    "format_peers_default": "{label}, the usual default elsewhere: nothing that loses as little is"
    " faster here ({decode_tps} predicted, expected KL {loss}).",
    "format_as_faithful": "{label}: the fastest here ({decode_tps} predicted) of what loses no more"
    " than {peer}, the usual default elsewhere (expected KL {loss}, {peer} {peer_loss}).",
    "format_fast": "{label}: the fastest here ({decode_tps} predicted) of what loses at most"
    " {extra} more than {peer}, the usual default elsewhere (expected KL {loss}, {peer}"
    " {peer_loss}).",
    "format_faithful": "{label}: the least expected loss (KL {loss}) among what decodes at"
    " {comfortable_tps} or more ({decode_tps} predicted).",
    "format_best_trade": "{label}: the best trade of speed for loss ({decode_tps} predicted,"
    " expected KL {loss}); twice the speed is counted as worth a KL of {worth}.",
    "format_loss_unknown_chosen": "{label}: what the formats at hand lose has not been measured, so"
    " the usual order applies.",
    "format_unmeasured": "{label}: speeds here are not known, so the usual order applies, which"
    " begins with {peer}.",
    "format_roomiest": "{label}: it leaves the most room for context ({context} tokens).",
    # of the others
    "format_beaten": "{label}: it loses more (expected KL {loss}) than {chosen} ({chosen_loss}) and"
    " is no faster ({decode_tps} predicted, {chosen} {chosen_tps}).",
    "format_loses_more": "{label}: faster ({decode_tps} predicted, {chosen} {chosen_tps}), but it"
    " loses more: expected KL {loss}, {chosen} {chosen_loss}.",
    "format_slower": "{label}: it loses less (expected KL {loss}, {chosen} {chosen_loss}), but is"
    " slower ({decode_tps} predicted, {chosen} {chosen_tps}).",
    "format_also": "{label}: {decode_tps} predicted, expected KL {loss}.",
    "format_loss_unknown": "{label}: its loss has not been measured on any model.",
    "format_speed_unknown": "{label}: its speed here is not known.",
    "format_short_context": "{label}: it leaves room for a context of {context} tokens only.",
    "format_costly": "{label}: making it takes about {minutes} minutes here, so it is made only"
    " where it is asked for.",
    "format_does_not_fit": "{label}: it does not fit in memory.",
}

DOUBTS: dict[str, str] = {
    "busy": "Other programs were busy during the measurement; close them and measure again.",
    "unsteady": "The readings vary a lot; measure again when the machine is idle.",
}

UNAVAILABLE: dict[str, str] = {
    "not_listed": "the engine does not list it",
    "engine_lacks_gpu": "the installed engine was built without support for it",
    "hardware:not_present": "no such hardware was found",
    "driver:not_loaded": "its driver is not loaded",
    "driver:no_permission": "this user has no permission to open it: add them to the render group",
    "provider:not_installed": "its execution provider is not installed",
    "provider:not_for_this_system": "there is no execution provider for it on this system",
    "memory:too_little_memory": "too little memory is left to test it",
    "provider:no_such_device": "its execution provider cannot find it",
    "provider:provider_failed_to_load": "its execution provider did not load",
    "self_test:compile_failed": "it could not compile the self-test",
    "self_test:wrong_numbers": "it returned wrong numbers in the self-test",
    "self_test:not_finite": "it returned values that are not finite in the self-test",
    "self_test:crashed": "the self-test crashed",
    "self_test:hung": "it did not answer in the self-test",
    "device_lost": "it stopped working while the model ran",
    "engine_does_not_reach_it": "no engine for this model supports it",
    "no_fixed_shape_body": "this model was exported without the static-shape graph that NPUs need",
    "rpc_unreachable": "no RPC server responds at its address",
    "rpc_not_understood": "the server at its address is not an RPC server of this engine's version",
    "rpc_none_answers": "no RPC server from the settings responds",
    "rpc_lost": "its RPC server stopped responding",
    "no_such_device": "there is no such device",
    "provider_not_installed": "its execution provider is not installed",
    "provider_failed_to_load": "its execution provider did not load",
    "compile_failed": "the model could not be compiled for it",
    "lm_head_runs_on_the_cpu": "this engine keeps the LM head on the CPU",
}

NOTICES: dict[str, str] = {
    "system_folded": "The system prompt was put into the first message, because this model"
    " does not support one.",
    "thinking_cut": "The thinking was cut off: the token budget ran out before the answer.",
    "missing_opening_tag": "The reasoning had no opening tag, so it was moved out of the answer.",
    "loop_detected": "Stopped: the answer was repeating itself.",
    "no_chat_template": "The file has no chat template, so a generic one was used.",
    "fixed_shape_body": "The model graph was compiled for a fixed context length.",
    "device_changed": "The planned device failed. The model now runs on another one; the plan"
    " shows which and why.",
    "tokens_not_counted": "The server sent no token count, so the chunks it sent were counted"
    " instead.",
    "rows_padded": "Some rows were padded to the block size.",
    "feedback_partial": "Some matrices, such as experts, were rounded without error feedback.",
    "demonstration": "This is a demo model with 135 million parameters and is often wrong."
    " `stillroom search` lists distilled models for real work.",
}

# The five facts about an execution provider.
FACTS: dict[str, str] = {
    "hardware": "hardware",
    "driver": "driver",
    "provider": "provider",
    "memory": "memory",
    "self_test": "self-test",
}

# what was found out about one of them, by its code
FINDINGS: dict[str, str] = {
    "present": "found ({vendor}, {node})",
    "not_present": "no NPU from {vendor} was found",
    "simulated": "simulated",
    "found_by_provider": "detected by the provider",
    "loaded": "{driver} loaded",
    "not_loaded": "{driver} is not loaded: install the vendor's driver",
    "no_permission": "no permission to open {node}: add this user to the render group",
    "not_needed": "none needed",
    "no_hardware": "not checked",
    "installed": "version {version}",
    "not_installed": "not installed: `pip install {package}`",
    "not_installed_frozen": "not installed: `stillroom packs` lists what can be added",
    "not_for_this_system": "not available on this system: {package} is for Windows",
    "shared_with_host": "{bytes} left, shared with the processor",
    "device_memory": "{bytes} on the device",
    "too_little_memory": "{bytes} left, {needed} needed",
    "passed": "passed (cosine {cosine}, {seconds})",
    "wrong_numbers": "wrong numbers (cosine {cosine})",
    "not_finite": "no finite numbers",
    "crashed": "crashed ({cause})",
    "hung": "no response within {seconds}",
    "not_run": "not run",
    "compile_failed": "could not compile: {detail}",
    "provider_not_installed": "not installed: `pip install {package}`",
    "provider_failed_to_load": "did not load: {detail}",
    "no_such_device": "does not list this device",
}

# What a format is expected to lose on a model of some size, and what that rests on.
LOSSES: dict[str, str] = {
    "expected": "Expected loss for a model of {size} parameters: mean KL divergence about {likely}"
    " ({low} to {high}), {basis}.",
    "published": "from published measurements of models of {smallest} to {largest} parameters",
    "published_one": "from published measurements of models of {largest} parameters",
    "carried": "carried over from {format} by the difference on the starter, a very small model,"
    " so less certain",
    "beyond": "No model of this size was measured in this format.",
    "makers": "Files called {label} differ between makers: from {least} to {most} on {model}.",
}

# Two models against one source: which is closer.
PAIRS: dict[str, str] = {
    "closer": "{better} is closer to {source} than {worse}: its mean KL divergence is lower by"
    " {difference} ({low} to {high}).",
    "neither": "No difference that this text can show: {first} and {second} are about equally close"
    " to {source}. Their mean KL divergences differ by {difference} ({low} to {high}).",
    "too_short": "This text is too short to tell whether {first} or {second} is closer to"
    " {source}.",
    "no_numbers": "{better} is closer to {source}: {worse} gives values that are not numbers.",
    "both_no_numbers": "Both {first} and {second} give values that are not numbers.",
}

# Whether a costlier way of quantizing replaced a cheaper one.
CHOICES: dict[str, str] = {
    "costlier": "The costlier result was kept: it lowers the mean KL divergence from {cheaper} to"
    " {costlier}, by {difference} ({low} to {high}), measured over {tokens} tokens.",
    "cheaper": "The cheaper result was kept: the costlier one raises the mean KL divergence from"
    " {cheaper} to {costlier}, by {difference} ({low} to {high}), measured over {tokens} tokens.",
    "neither": "The cheaper result was kept: {tokens} tokens show no gain of the costlier one. The"
    " mean KL divergence is {cheaper} and {costlier}, a difference of {difference} ({low} to"
    " {high}).",
    "too_short": "The cheaper result was kept: {tokens} tokens are too few to compare the two.",
    "costlier_no_numbers": "The cheaper result was kept: the costlier one gives values that are not"
    " numbers.",
    "cheaper_no_numbers": "The costlier result was kept: the cheaper one gives values that are not"
    " numbers.",
    "both_no_numbers": "Both results give values that are not numbers.",
}

VERDICTS: dict[str, str] = {
    "faithful": "Faithful: next to nothing was lost.",
    "close": "Close: small losses that are hard to notice.",
    "noticeable": "Noticeable: answers differ, mostly in detail.",
    "damaged": "Damaged: the model lost too much; choose another recipe.",
}

# cause of a slow run: (what it is, what to do)
CAUSES: dict[str, tuple[str, str]] = {
    "other_load": ("other programs kept the cores busy", "Close them, or wait."),
    "cpu_quota": ("a CPU quota throttled the engine", "Raise the container's CPU quota."),
    "few_threads": (
        "fewer threads were used than would be best",
        "Set CPU threads to 0 in the settings.",
    ),
    "long_context": ("the conversation is long", "Start a new chat, or use an 8-bit KV cache."),
    "swapping": ("memory ran low and the system swapped", "Choose a smaller model or context."),
    "memory_limit": (
        "memory use was close to its limit",
        "Raise the limit, or choose a smaller model.",
    ),
    "memory_spill": (
        "memory was full, so parts of the model were read from disk again and again",
        "Close other programs, or choose a smaller model or context.",
    ),
    "device_spill": (
        "part of the model was not on the device it was planned for",
        "Load it again, or choose a smaller model or context.",
    ),
    "cold_file": ("the weights were read from disk", "The next answer will be faster."),
    "battery_clock": ("the processor was saving power on battery", "Plug the machine in."),
    "low_clock": (
        "the processor ran below its normal clock speed",
        "Check cooling and power settings.",
    ),
    "wrong_device": ("the model ran on another device than planned", "Load it again."),
    "slower_memory": (
        "memory is slower now than when this machine was measured",
        "Measure again on the Speed page; if it stays slow, check power settings and other load.",
    ),
    "low_acceptance": (
        "few drafted tokens were accepted",
        "Speculative decoding turns itself off while it does not help.",
    ),
    "single_channel_suspected": (
        "memory seems to run on a single channel",
        "Add a second memory module.",
    ),
}
