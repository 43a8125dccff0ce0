"""The sentences of errors, by class, and by what ended a worker; their codes are worded in
`app.wording.codes`.

Plain words, short, no blame. Data only.
"""

# class: (title, sentence, hint); facts in braces
ERRORS: dict[str, tuple[str, str, str]] = {
    # files and models
    "CorruptFile": (
        "Damaged model file",
        "{file} is damaged or not a model: {reason}{at_tensor}{said}.",
        "Download or copy it again.",
    ),
    "CorruptCheckpoint": (
        "Damaged checkpoint",
        "{file} is damaged or not a checkpoint: {reason}{at_tensor}{said}.",
        "Download or copy it again.",
    ),
    "UnsupportedFormat": (
        "Unsupported format",
        "{file} cannot be converted: {reason}{said}.",
        "Use a GGUF file or a safetensors folder.",
    ),
    "IncompatibleShape": (
        "Unexpected tensor",
        "{reason}",
        "The checkpoint may belong to another model.",
    ),
    "AlreadyQuantized": (
        "Already quantized",
        "{file} is already quantized (the tensor {tensor} is in {format}): quantizing it again adds"
        " to what that lost.",
        "Start from the full-precision weights, or continue anyway with --requantize.",
    ),
    "NonFiniteWeights": (
        "Invalid weights",
        "Tensor {tensor} holds {count} values that are not finite, or too large to store.",
        "Download the checkpoint again.",
    ),
    "InvalidRecipe": (
        "Unusable recipe",
        "The recipe's {field} is invalid: {reason}{said}.",
        "",
    ),
    "MissingTensor": ("Incomplete checkpoint", "{file} has no tensor {tensor}.", ""),
    "NativeQuantizerFailed": (
        "Quantization failed",
        "The quantizer failed: {reason}{said}.",
        "",
    ),
    "NotEnoughDisk": (
        "Disk full",
        "{file} needs {needed}, but only {available} is free.",
        "Free some space and try again.",
    ),
    "SizeOutOfRange": (
        "Size not possible",
        "No choice of formats makes a file of {asked}.",
        "Sizes from {least} to {most} are possible.",
    ),
    "QuantError": ("Conversion failed", "The conversion failed.", ""),
    # engines and devices
    "BackendUnavailable": (
        "Engine not available",
        "The engine {backend} cannot be used: {reason}{said}.",
        "`stillroom doctor` says what is missing.",
    ),
    "DeviceUnavailable": (
        "Device not usable",
        "The device {device} cannot be used: {reason}{said}.",
        "`stillroom devices` lists the usable devices.",
    ),
    "ContextOverflow": (
        "Conversation too long",
        "The conversation has {n_tokens} tokens, but the context holds only {n_ctx}.",
        "Choose a larger context, or start a new chat.",
    ),
    "OutOfMemory": (
        "Out of memory",
        "The engine ran out of memory on {device}.",
        "Choose a smaller context or a smaller model.",
    ),
    "InvalidRequest": (
        "Invalid request",
        "The {field} cannot be used: {reason}{said}.",
        "",
    ),
    "TemplateFailed": (
        "Chat template failed",
        "The model's chat template failed: {reason}{said}.",
        "The file may be damaged; try another build of the model.",
    ),
    "EvaluationFailed": (
        "The engine failed",
        "The engine could not evaluate {tokens} tokens (code {code}).",
        "Try again with a smaller context; the log has the engine's own words.",
    ),
    "StageFailed": (
        "The engine failed",
        "The engine failed in its {stage} on {device}{said}.",
        "Try another engine or device.",
    ),
    "ProtocolMismatch": (
        "Version mismatch",
        "The engine process uses protocol {got}, but this program expects {expected}.",
        "Reinstall Stillroom.",
    ),
    "InternalError": (
        "Something went wrong",
        "The engine process hit an unexpected error{said}.",
        "The log has the details (`stillroom doctor` says where).",
    ),
    "TokenizerFailed": (
        "The engine failed",
        "The model's tokenizer could not read a text of {length} characters.",
        "The file may be damaged; try another build of the model.",
    ),
    "NoEngineRan": (
        "No engine ran the model",
        "No engine could run this model here: {failed}.",
        "`stillroom doctor` says what is missing.",
    ),
    "JobMismatch": (
        "Version mismatch",
        "Two parts of Stillroom disagree about {field} of the job “{job}”{said}.",
        "Reinstall Stillroom.",
    ),
    "EngineError": ("The engine failed", "The engine reported an error.", ""),
    # application
    "CatalogError": (
        "Invalid catalog",
        "The model catalog {file} is invalid: entry “{entry}”, field {field}: {reason}{said}.",
        "Restore models.json.",
    ),
    "SettingsError": (
        "Invalid setting",
        "{reason}",
        "",
    ),
    "StoreError": (
        "History unavailable",
        "{reason}",
        "",
    ),
    "AlreadyInstalled": ("Already installed", "A model named {name} is already installed.", ""),
    "DamagedModel": (
        "Damaged model",
        "{name} is damaged: its files differ from what was installed.",
        "Remove it and download it again.",
    ),
    "LibraryBusy": (
        "Models folder in use",
        "Another operation is using the models folder.",
        "Try again when it has finished.",
    ),
    "ImportRefused": (
        "Cannot import",
        "{file} cannot be imported: {reason}.",
        "",
    ),
    "PackRefused": (
        "Add-on pack",
        "{reason}",
        "`stillroom packs` lists what is installed.",
    ),
    "OutputRefused": ("Output", "{reason}", ""),
    "LibraryRefused": (
        "Models folder",
        "{reason}",
        "",
    ),
    "LibraryError": (
        "Models folder",
        "The models folder has a problem.",
        "",
    ),
    "UnknownConversation": (
        "Conversation not found",
        "{reason}",
        "`stillroom export` lists the conversations.",
    ),
    "UnreadableFile": ("Cannot read the file", "{name} cannot be read: {reason}.", ""),
    # hub and downloads
    "Offline": (
        "Offline",
        "The hub cannot be reached.",
        "Installed models work without a network.",
    ),
    "NotAHubAnswer": (
        "Not the hub",
        "Something other than the hub replied at {url}, perhaps a network sign-in page.",
        "Open a browser and sign in to the network.",
    ),
    "GatedModel": (
        "Access needed",
        "{repo} is gated: its owner grants access on request.",
        "Request access at {url}, then enter your token.",
    ),
    "RepoNotFound": ("Not found", "The hub has no repository {repo}, or it is private.", ""),
    "RevisionNotFound": ("Not found", "{repo} has no revision {revision}.", ""),
    "RemoteFileNotFound": ("Not found", "{repo} has no file {path}.", ""),
    "TokenRefused": ("Token refused", "The hub refused the token.", "Enter it again."),
    "RateLimited": (
        "Too many requests",
        "The hub asked to wait {retry_after:.0f} seconds.",
        "Try again then.",
    ),
    "HubUnavailable": ("Hub error", "The hub answered with status {status}.", "Try later."),
    "UnsafeEndpoint": ("Unsafe address", "{endpoint} is not used: {reason}.", ""),
    "BadRemoteHeader": ("Unreadable header", "{path} of {repo} is not usable: {reason}.", ""),
    "HubError": ("Hub error", "The hub request failed.", "Try later."),
    "ChecksumMismatch": (
        "Checksum mismatch",
        "{file} does not match its checksum; it was not installed.",
        "Try again; if it happens again, the source is damaged.",
    ),
    "Interrupted": (
        "Interrupted",
        "The download of {file} stopped. {reason}",
        "Start it again; it resumes where it stopped.",
    ),
    "ServerMisbehaved": (
        "Server error",
        "The server sent an unexpected response for {file}: {reason}.",
        "Try later.",
    ),
    "DownloadBusy": ("Already running", "{file} is being downloaded by another window.", ""),
    "PackageUnavailable": (
        "Package not available",
        "The package {package} {version} could not be downloaded.",
        "Check the network, or the package index configured on this machine.",
    ),
    "DiskFull": (
        "Disk full",
        "{file} needs {needed}, but only {available} is free.",
        "Free some space and try again.",
    ),
    "DownloadError": ("Download failed", "The download of {file} failed.", "Try again."),
    "HarnessMissing": (
        "lm-eval is missing",
        "The interpreter {python} has no lm-eval.",
        "Run pip install 'stillroom[eval]', or choose another interpreter with --python.",
    ),
    "HarnessFailed": (
        "The evaluation failed",
        "{reason}",
        "",
    ),
    # models of other machines
    "RemoteUnreachable": (
        "Not reachable",
        "{name} at {url} cannot be reached: {kind}.",
        "Check its address (Remote models, or `stillroom remote list`) and that the server is"
        " running.",
    ),
    "RemoteKeyRefused": (
        "Key not accepted",
        "{name} at {url} refused the request (status {status}){said}.",
        "Enter the right key under Remote models, or run `stillroom remote add` with the same"
        " name.",
    ),
    "RemoteBusy": (
        "Too many requests",
        "{name} received too many requests and asked to wait {retry_after:.0f} seconds.",
        "Try again then.",
    ),
    "RemoteRefused": (
        "The remote model failed",
        "{name} answered with an error (status {status}){said}.",
        "",
    ),
    "RemoteRedirects": (
        "Redirected",
        "{name} at {url} redirects requests to {target}; the redirect was not followed.",
        "If you trust that address, add it in place of this one.",
    ),
    "RemoteNotUnderstood": (
        "Not an OpenAI-compatible server",
        "The server of {name} at {url} did not reply like an OpenAI-compatible API: {reason}.",
        "The address usually ends in /v1.",
    ),
    "RemoteCut": (
        "Answer cut off",
        "{name} ended its answer early, after {pieces} chunks.",
        "The part that arrived is shown; ask again for the full answer.",
    ),
    # the local server
    "PortTaken": (
        "Port in use",
        "The server cannot listen at {host}, port {port}{said}.",
        "Choose another port with --port or in the settings.",
    ),
    "NotConfirmed": (
        "Not opened to the network",
        "The address {host} can be reached from the network, and that was not confirmed.",
        "Confirm when asked, or add --open-to-network.",
    ),
    "Busy": ("Busy", "Too many requests are waiting; try again in {retry_after:.0f} s.", ""),
    "RequestRefused": ("Refused", "{code}", ""),
    "SystemRefused": (
        "The operating system reported an error",
        "The operating system reported an error{said}.",
        "",
    ),
    "Unexpected": (
        "Something went wrong",
        "An unexpected error occurred: {name}{said}.",
        "This is a bug in Stillroom; the log has the details.",
    ),
    "UnrecognizedError": (
        "Something went wrong",
        "The error “{name}” is not known to this version of Stillroom{said}.",
        "Try again.",
    ),
    "UnrecognizedEngineError": (
        "The engine failed",
        "The engine reported “{name}”{said}.",
        "",
    ),
    "FileDamage": (
        "Damaged file",
        "{file} is damaged: {reason}{at_tensor}{said}.",
        "Download or copy it again.",
    ),
    "UnknownKind": (
        "Unsupported file",
        "{file} is not supported: {reason}{said}.",
        "",
    ),
    "UnsupportedModel": (
        "Unsupported model",
        "No engine here can run {file}: {reason}{said}.",
        "Choose a GGUF language model.",
    ),
    "ModelFileError": (
        "The file cannot be used",
        "{file} cannot be used.",
        "Check that the file is complete and readable.",
    ),
    "UnusableFile": (
        "The file cannot be used",
        "{reason}",
        "Check that the file is complete and readable.",
    ),
    "WorkerError": (
        "The engine failed",
        "The engine process failed.",
        "",
    ),
    "RpcServerEnded": (
        "The RPC server ended",
        "The RPC server at {address} ended; its port may be in use.",
        "Choose another port with --port.",
    ),
    "RemoteError": (
        "The remote model failed",
        "{name} failed.",
        "",
    ),
    "AppError": ("Something went wrong", "The request failed.", ""),
    "StillroomError": ("Something went wrong", "The request failed.", ""),
}

# class and fact: the sentence where that fact is empty, the first that applies
WITHOUT: dict[tuple[str, str], str] = {
    ("CatalogError", "entry"): "The model catalog {file} is invalid: {reason}{said}.",
    ("CatalogError", "field"): "The model catalog {file} is invalid: entry “{entry}”:"
    " {reason}{said}.",
    ("JobMismatch", "field"): "Two parts of Stillroom disagree about the job “{job}”{said}.",
}

# class and code: the same where one code needs a title and a hint of its own
TITLED: dict[tuple[str, str], tuple[str, str, str]] = {
    ("UnusableFile", "missing"): ("No such file", "{reason}", "Check the path."),
    ("TemplateFailed", "raised"): (
        "Chat template failed",
        "The model's chat template failed: {reason}{said}.",
        "Change the conversation or the system prompt, or try another build of the model.",
    ),
    ("UnsupportedModel", "not_installed"): (
        "Not installed",
        "{reason}",
        "Get it with `stillroom pull {path}`.",
    ),
}

# field of an InvalidRequest; others are shown by their names, in quotes
FIELDS: dict[str, str] = {
    "n_ctx": "context",
    "kv_type": "KV cache type",
    "n_threads": "number of threads",
    "threads": "number of threads",
    "sequences": "number of sequences",
    "prompt": "prompt",
    "input": "input",
    "grammar": "grammar",
    "model": "model",
    "sample": "sampling",
    "token": "token",
    "layers": "placement",
    "policy": "placement policy",
    "rpc_servers": "list of RPC servers",
    "cluster": "cluster",
    "weights": "weight format",
    "embeddings": "embeddings",
    "max_tokens": "longest answer",
    "depths": "list of depths",
    "repeat": "number of repetitions",
    "prompt_tokens": "prompt length",
    "generate_tokens": "answer length",
    "texts": "text",
    "schema": "schema",
    "request": "request",
}

_CHAT_SAFE = "Your conversation is safe; send again to continue."

# kind of Offline: (sentence, hint); other kinds are worded by ERRORS["Offline"]
OFFLINE: dict[str, tuple[str, str]] = {
    "setting": (
        "The setting “Stay offline” is on, so no request was made.",
        "Turn it off in the settings to search or download.",
    ),
    "no network": (
        "This machine has no network connection.",
        "Installed models work without one.",
    ),
    "dns": (
        "The hub's address was not found.",
        "Check the network connection, or the hub address in the settings.",
    ),
    "refused": (
        "The hub refused the connection.",
        "Check the hub address in the settings, or try later.",
    ),
    "timeout": (
        "The hub did not answer in time.",
        "Try again; installed models work without a network.",
    ),
    "tls": (
        "The hub could not prove its identity: its certificate was not accepted.",
        "A proxy or a wrong system clock may be the cause.",
    ),
    "broken": (
        "The connection to the hub broke off.",
        "Try again; downloads resume where they stopped.",
    ),
}

EXITS: dict[str, tuple[str, str, str]] = {
    "crashed": (
        "The engine crashed",
        "The engine process crashed ({cause}).",
        f"{_CHAT_SAFE} If it happens again, try another engine or a smaller context.",
    ),
    "illegal_instruction": (
        "The engine does not match this processor",
        "The engine used an instruction this processor does not have ({cause}).",
        "Set up Stillroom again on this machine so that the engine is built for its processor.",
    ),
    "killed": (
        "The engine was killed",
        "The operating system or another program killed the engine process ({cause}).",
        f"If memory was low, choose a smaller model or context. {_CHAT_SAFE}",
    ),
    "out_of_memory": (
        "Out of memory",
        "The engine process ran out of memory ({cause}).",
        "Choose a smaller context or a smaller model, or close other programs.",
    ),
    "stalled": (
        "The engine stopped responding",
        "The engine did not respond for {seconds} seconds and was stopped.",
        f"{_CHAT_SAFE}",
    ),
    "lost_protocol": (
        "The engine sent a garbled reply",
        "The engine process wrote output Stillroom could not read, so it was stopped.",
        f"{_CHAT_SAFE}",
    ),
    "clean": ("The engine was closed", "The engine process was closed.", f"{_CHAT_SAFE}"),
    "cancelled": ("Stopped", "The engine process was stopped on request.", ""),
    "start_failed": (
        "The engine did not start",
        "The engine process did not start: {reason}.",
        "`stillroom doctor` says what is missing.",
    ),
}

# why a context is too long: (what limits it, what else would help)
CONTEXT_LIMITS: dict[str, tuple[str, str]] = {
    "trained": ("the model was trained for", ""),
    "exported": (
        "this file was exported for",
        ", or quantize it again with a longer --context",
    ),
    "compiled": (
        "its graph for {device} was exported for",
        ", take another device, or quantize it again with a longer --context",
    ),
}
