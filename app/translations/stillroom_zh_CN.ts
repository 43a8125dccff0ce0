<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="zh_CN" sourcelanguage="en">
  <context>
    <name>Stillroom</name>
    <message>
      <source> (tensor {tensor})</source>
      <translation>（张量 {tensor}）</translation>
    </message>
    <message>
      <source>&amp;Chat</source>
      <translation>对话(&amp;C)</translation>
    </message>
    <message>
      <source>&amp;Help</source>
      <translation>帮助(&amp;H)</translation>
    </message>
    <message>
      <source>&amp;Search</source>
      <translation>搜索(&amp;S)</translation>
    </message>
    <message>
      <source>&amp;View</source>
      <translation>视图(&amp;V)</translation>
    </message>
    <message>
      <source>, or quantize it again with a longer --context</source>
      <translation>，或用更大的 --context 重新量化</translation>
    </message>
    <message>
      <source>, take another device, or quantize it again with a longer --context</source>
      <translation>，或换一个设备，或用更大的 --context 重新量化</translation>
    </message>
    <message>
      <source>4 bits, blocks of 32</source>
      <translation>4 位，每块 32 个权重</translation>
    </message>
    <message>
      <source>4 bits, blocks of 32, searched scales</source>
      <translation>4 位，块大小 32，搜索缩放系数</translation>
    </message>
    <message>
      <source>4 bits, with 6 where it matters most: closer to the original, slightly slower.</source>
      <translation>4 位，关键处 6 位：更接近原模型，速度略慢。</translation>
    </message>
    <message>
      <source>4-bit blocks throughout, including embeddings and LM head.</source>
      <translation>全部使用 4 位分块，包括嵌入层和 LM 头。</translation>
    </message>
    <message>
      <source>4-bit blocks, including embeddings and LM head</source>
      <translation>4 位分块，包括嵌入层和 LM 头</translation>
    </message>
    <message>
      <source>6 bits: barely distinguishable from the original.</source>
      <translation>6 位：与原模型几乎没有差别。</translation>
    </message>
    <message>
      <source>8 bits: almost lossless, twice the size.</source>
      <translation>8 位：几乎无损，大小约为两倍。</translation>
    </message>
    <message>
      <source>: “{detail}”</source>
      <translation>：“{detail}”</translation>
    </message>
    <message>
      <source>A 236B mixture of experts for large servers.</source>
      <translation>236B 混合专家模型，适合大型服务器。</translation>
    </message>
    <message>
      <source>A context of {n_ctx} tokens is more than {limit}: {longest}.</source>
      <translation>{n_ctx} 个词元的上下文超过了{limit}：{longest}。</translation>
    </message>
    <message>
      <source>A demo model: it shows how everything works, but knows little.</source>
      <translation>演示模型：用来展示整个流程，知识有限。</translation>
    </message>
    <message>
      <source>A link asks to search the hub for this.</source>
      <translation>有链接请求在模型库中搜索此内容。</translation>
    </message>
    <message>
      <source>A link asks to show this model.</source>
      <translation>有链接请求显示此模型。</translation>
    </message>
    <message>
      <source>A model named {name} is already installed.</source>
      <translation>名为 {name} 的模型已安装。</translation>
    </message>
    <message>
      <source>A more capable reasoning model for machines with plenty of memory or a mid-range GPU.</source>
      <translation>推理能力更全面，适合内存充裕或配有中端 GPU 的电脑。</translation>
    </message>
    <message>
      <source>A proxy or a wrong system clock may be the cause.</source>
      <translation>可能是代理或系统时间不正确所致。</translation>
    </message>
    <message>
      <source>A remote model cannot continue an answer that was cut off.</source>
      <translation>远程模型无法继续被截断的回答。</translation>
    </message>
    <message>
      <source>A request may be at most {limit} MiB.</source>
      <translation>请求最大 {limit} MiB。</translation>
    </message>
    <message>
      <source>A small mixture of experts: the memory of a 16B model at the speed of a 2.4B one.</source>
      <translation>小型混合专家模型：占用 16B 模型的内存，速度相当于 2.4B 模型。</translation>
    </message>
    <message>
      <source>A smaller model with the same vocabulary, for speculative decoding. Leave empty for none.</source>
      <translation>用于推测解码的较小模型，词表须相同。留空则不使用。</translation>
    </message>
    <message>
      <source>A token for {0} is saved.</source>
      <translation>已保存 {0} 的令牌。</translation>
    </message>
    <message>
      <source>About 25% faster on the CPU than blocks of 32, with more quality loss.</source>
      <translation>在 CPU 上比每块 32 个权重快约 25%，质量损失也更大。</translation>
    </message>
    <message>
      <source>About Stillroom</source>
      <translation>关于 Stillroom</translation>
    </message>
    <message>
      <source>About the model</source>
      <translation>关于此模型</translation>
    </message>
    <message>
      <source>Access</source>
      <translation>访问</translation>
    </message>
    <message>
      <source>Access key</source>
      <translation>访问密钥</translation>
    </message>
    <message>
      <source>Access needed</source>
      <translation>需要访问权限</translation>
    </message>
    <message>
      <source>Access token</source>
      <translation>访问令牌</translation>
    </message>
    <message>
      <source>Access token…</source>
      <translation>访问令牌…</translation>
    </message>
    <message>
      <source>Active parameters</source>
      <translation>激活参数</translation>
    </message>
    <message>
      <source>Add a second memory module.</source>
      <translation>请再加装一条内存。</translation>
    </message>
    <message>
      <source>Add this model to the library?</source>
      <translation>把此模型加入模型库？</translation>
    </message>
    <message>
      <source>Add-on pack</source>
      <translation>附加包</translation>
    </message>
    <message>
      <source>Address</source>
      <translation>地址</translation>
    </message>
    <message>
      <source>Address of a hub mirror. Leave empty for the official hub.</source>
      <translation>模型库镜像的地址。留空则使用官方模型库。</translation>
    </message>
    <message>
      <source>Address: {0}</source>
      <translation>地址：{0}</translation>
    </message>
    <message>
      <source>Adds the instruction that DeepSeek recommends for its models</source>
      <translation>加入 DeepSeek 为其模型推荐的提示语</translation>
    </message>
    <message>
      <source>All files</source>
      <translation>所有文件</translation>
    </message>
    <message>
      <source>Allow an address without HTTPS</source>
      <translation>允许不使用 HTTPS 的地址</translation>
    </message>
    <message>
      <source>Already installed</source>
      <translation>已经安装</translation>
    </message>
    <message>
      <source>Already quantized</source>
      <translation>已经量化</translation>
    </message>
    <message>
      <source>Already running</source>
      <translation>已在运行</translation>
    </message>
    <message>
      <source>An installed model is already named “{value}”.</source>
      <translation>已有名为“{value}”的模型。</translation>
    </message>
    <message>
      <source>An unexpected error occurred: {name}{said}.</source>
      <translation>发生意外错误：{name}{said}。</translation>
    </message>
    <message>
      <source>Analysing the last answer…</source>
      <translation>正在分析上一个回答…</translation>
    </message>
    <message>
      <source>Another Stillroom window is running these downloads.</source>
      <translation>这些下载正由另一个 Stillroom 窗口进行。</translation>
    </message>
    <message>
      <source>Another answer</source>
      <translation>再答一次</translation>
    </message>
    <message>
      <source>Another operation is using the models folder.</source>
      <translation>另一项操作正在使用模型文件夹。</translation>
    </message>
    <message>
      <source>Answer</source>
      <translation>回答</translation>
    </message>
    <message>
      <source>Answer cut off</source>
      <translation>回答被中断</translation>
    </message>
    <message>
      <source>Answer ended early</source>
      <translation>回答提前结束</translation>
    </message>
    <message>
      <source>Answer finished</source>
      <translation>回答完成</translation>
    </message>
    <message>
      <source>Answer several times and vote</source>
      <translation>多次回答并投票</translation>
    </message>
    <message>
      <source>Answer the same question again</source>
      <translation>对同一问题再答一次</translation>
    </message>
    <message>
      <source>Answer {0}</source>
      <translation>回答 {0}</translation>
    </message>
    <message>
      <source>Answer {number} was chosen: of {count} answers, it shares the most wording with the others.</source>
      <translation>选用第 {number} 个回答：在 {count} 个回答中，它与其他回答的措辞最一致。</translation>
    </message>
    <message>
      <source>Answer {number} was chosen: {votes} of {count} answers reached the result {result}.</source>
      <translation>选用第 {number} 个回答：{count} 个回答中有 {votes} 个得出结果 {result}。</translation>
    </message>
    <message>
      <source>Any architecture</source>
      <translation>任意架构</translation>
    </message>
    <message>
      <source>Any licence</source>
      <translation>任意许可证</translation>
    </message>
    <message>
      <source>Any size</source>
      <translation>任意大小</translation>
    </message>
    <message>
      <source>Any variant</source>
      <translation>任意量化版本</translation>
    </message>
    <message>
      <source>Appearance</source>
      <translation>外观</translation>
    </message>
    <message>
      <source>Architecture</source>
      <translation>架构</translation>
    </message>
    <message>
      <source>As fast as predicted</source>
      <translation>与预测一样快</translation>
    </message>
    <message>
      <source>As of {0}; the hub cannot be reached now.</source>
      <translation>这是 {0} 的内容；现在无法连接模型库。</translation>
    </message>
    <message>
      <source>Ask anything</source>
      <translation>随便问</translation>
    </message>
    <message>
      <source>Ask before opening links</source>
      <translation>打开链接前询问</translation>
    </message>
    <message>
      <source>Ask for confirmation before a link opens in the web browser.</source>
      <translation>在浏览器中打开链接前先确认。</translation>
    </message>
    <message>
      <source>Ask something</source>
      <translation>输入问题</translation>
    </message>
    <message>
      <source>Ask the hub which account the token belongs to</source>
      <translation>向模型库查询令牌属于哪个账号</translation>
    </message>
    <message>
      <source>Asking the hub…</source>
      <translation>正在查询模型库…</translation>
    </message>
    <message>
      <source>Attach files</source>
      <translation>附加文件</translation>
    </message>
    <message>
      <source>Back</source>
      <translation>上一步</translation>
    </message>
    <message>
      <source>Back to the chat</source>
      <translation>返回对话</translation>
    </message>
    <message>
      <source>Bars: predicted. Dots: measured.</source>
      <translation>条形：预测。圆点：实测。</translation>
    </message>
    <message>
      <source>Bars: predicted. Dots: measured. Runs: {0}. Median error {1} %, {2} % within the predicted range.</source>
      <translation>条形：预测。圆点：实测。运行次数：{0}。误差中位数 {1} %，{2} % 落在预测范围内。</translation>
    </message>
    <message>
      <source>Base model</source>
      <translation>基础模型</translation>
    </message>
    <message>
      <source>Batch</source>
      <translation>批大小</translation>
    </message>
    <message>
      <source>Bits per weight</source>
      <translation>每权重位数</translation>
    </message>
    <message>
      <source>Both results give values that are not numbers.</source>
      <translation>两个结果都给出了非数值。</translation>
    </message>
    <message>
      <source>Both {first} and {second} give values that are not numbers.</source>
      <translation>{first} 和 {second} 都给出了非数值。</translation>
    </message>
    <message>
      <source>Browse models</source>
      <translation>浏览模型</translation>
    </message>
    <message>
      <source>Bug report copied, without prompts, paths or names. Please read it before you share it.</source>
      <translation>错误报告已复制，其中不含提示词、路径和名称。分享前请先查看。</translation>
    </message>
    <message>
      <source>Busy</source>
      <translation>正忙</translation>
    </message>
    <message>
      <source>C&amp;onversation</source>
      <translation>当前对话(&amp;O)</translation>
    </message>
    <message>
      <source>CPU threads</source>
      <translation>CPU 线程数</translation>
    </message>
    <message>
      <source>Calibration text</source>
      <translation>校准文本</translation>
    </message>
    <message>
      <source>Cancel</source>
      <translation>取消</translation>
    </message>
    <message>
      <source>Cancel {0}</source>
      <translation>取消 {0}</translation>
    </message>
    <message>
      <source>Cancelled</source>
      <translation>已取消</translation>
    </message>
    <message>
      <source>Cannot import</source>
      <translation>无法导入</translation>
    </message>
    <message>
      <source>Cannot read the file</source>
      <translation>无法读取文件</translation>
    </message>
    <message>
      <source>Catalog</source>
      <translation>目录</translation>
    </message>
    <message>
      <source>Change the conversation or the system prompt, or try another build of the model.</source>
      <translation>请更改对话或系统提示，或换用该模型的另一个版本。</translation>
    </message>
    <message>
      <source>Chat</source>
      <translation>对话</translation>
    </message>
    <message>
      <source>Chat template failed</source>
      <translation>聊天模板出错</translation>
    </message>
    <message>
      <source>Chat with this model</source>
      <translation>与此模型对话</translation>
    </message>
    <message>
      <source>Check</source>
      <translation>检查</translation>
    </message>
    <message>
      <source>Check cooling and power settings.</source>
      <translation>请检查散热和电源设置。</translation>
    </message>
    <message>
      <source>Check every file against its checksum</source>
      <translation>用校验和检查每个文件</translation>
    </message>
    <message>
      <source>Check for updates</source>
      <translation>检查更新</translation>
    </message>
    <message>
      <source>Check its address (Remote models, or `stillroom remote list`) and that the server is running.</source>
      <translation>请检查它的地址（“远程模型”或 `stillroom remote list`），并确认服务器正在运行。</translation>
    </message>
    <message>
      <source>Check that the file is complete and readable.</source>
      <translation>请检查文件是否完整、可读。</translation>
    </message>
    <message>
      <source>Check the hub address in the settings, or try later.</source>
      <translation>请检查设置中的模型库地址，或稍后再试。</translation>
    </message>
    <message>
      <source>Check the network connection, or the hub address in the settings.</source>
      <translation>请检查网络连接，或设置中的模型库地址。</translation>
    </message>
    <message>
      <source>Check the network, or the package index configured on this machine.</source>
      <translation>请检查网络，或本机配置的软件包源。</translation>
    </message>
    <message>
      <source>Check the path.</source>
      <translation>请检查路径。</translation>
    </message>
    <message>
      <source>Checking</source>
      <translation>正在校验</translation>
    </message>
    <message>
      <source>Checking…</source>
      <translation>正在检查…</translation>
    </message>
    <message>
      <source>Checksum</source>
      <translation>校验和</translation>
    </message>
    <message>
      <source>Checksum mismatch</source>
      <translation>校验和不符</translation>
    </message>
    <message>
      <source>Choose a GGUF language model.</source>
      <translation>请选择 GGUF 语言模型。</translation>
    </message>
    <message>
      <source>Choose a folder for the models</source>
      <translation>选择存放模型的文件夹</translation>
    </message>
    <message>
      <source>Choose a larger context, or start a new chat.</source>
      <translation>请选择更大的上下文，或开始新对话。</translation>
    </message>
    <message>
      <source>Choose a model</source>
      <translation>选择模型</translation>
    </message>
    <message>
      <source>Choose a model (Ctrl+L)</source>
      <translation>选择模型 (Ctrl+L)</translation>
    </message>
    <message>
      <source>Choose a model to see whether it fits this machine.</source>
      <translation>选择一个模型，看它是否适合本机。</translation>
    </message>
    <message>
      <source>Choose a smaller context or a smaller model, or close other programs.</source>
      <translation>请选择更小的上下文或模型，或关闭其他程序。</translation>
    </message>
    <message>
      <source>Choose a smaller context or a smaller model.</source>
      <translation>请选择更小的上下文或模型。</translation>
    </message>
    <message>
      <source>Choose a smaller model or context.</source>
      <translation>请选择更小的模型或上下文。</translation>
    </message>
    <message>
      <source>Choose a smaller model, or close other programs.</source>
      <translation>请选择更小的模型，或关闭其他程序。</translation>
    </message>
    <message>
      <source>Choose another port with --port or in the settings.</source>
      <translation>请用 --port 或在设置中另选端口。</translation>
    </message>
    <message>
      <source>Choose another port with --port.</source>
      <translation>请用 --port 选择其他端口。</translation>
    </message>
    <message>
      <source>Choose model</source>
      <translation>选择模型</translation>
    </message>
    <message>
      <source>Choose one of the models that the server offers: {choices}.</source>
      <translation>请在服务器提供的模型中选择一个：{choices}。</translation>
    </message>
    <message>
      <source>Choose {longest} tokens or fewer{or_else}.</source>
      <translation>请选择不超过 {longest} 个词元{or_else}。</translation>
    </message>
    <message>
      <source>Clean up</source>
      <translation>清理</translation>
    </message>
    <message>
      <source>Clear finished</source>
      <translation>清除已完成的</translation>
    </message>
    <message>
      <source>Close</source>
      <translation>关闭</translation>
    </message>
    <message>
      <source>Close other programs, or choose a smaller model or context.</source>
      <translation>请关闭其他程序，或选择更小的模型或更短的上下文。</translation>
    </message>
    <message>
      <source>Close them, or wait.</source>
      <translation>请关闭它们，或等待。</translation>
    </message>
    <message>
      <source>Close: small losses that are hard to notice.</source>
      <translation>接近：损失很小，难以察觉。</translation>
    </message>
    <message>
      <source>Command</source>
      <translation>命令</translation>
    </message>
    <message>
      <source>Command palette</source>
      <translation>命令面板</translation>
    </message>
    <message>
      <source>Commit</source>
      <translation>提交</translation>
    </message>
    <message>
      <source>Compare all</source>
      <translation>全部对比</translation>
    </message>
    <message>
      <source>Compare answers</source>
      <translation>比较回答</translation>
    </message>
    <message>
      <source>Compare several answers</source>
      <translation>比较多个回答</translation>
    </message>
    <message>
      <source>Compared to reading</source>
      <translation>与阅读速度相比</translation>
    </message>
    <message>
      <source>Confirm when asked, or add --open-to-network.</source>
      <translation>请在询问时确认，或加上 --open-to-network。</translation>
    </message>
    <message>
      <source>Contacted only by “Check for updates”.</source>
      <translation>仅在“检查更新”时访问。</translation>
    </message>
    <message>
      <source>Context</source>
      <translation>上下文</translation>
    </message>
    <message>
      <source>Context too long</source>
      <translation>上下文太长</translation>
    </message>
    <message>
      <source>Context used</source>
      <translation>已用上下文</translation>
    </message>
    <message>
      <source>Context: {n_ctx} tokens, because {wanted} would not fit.</source>
      <translation>上下文：{n_ctx} 个词元，因为 {wanted} 放不下。</translation>
    </message>
    <message>
      <source>Context: {n_ctx} tokens, enough for most chats.</source>
      <translation>上下文：{n_ctx} 个词元，足够大多数对话。</translation>
    </message>
    <message>
      <source>Context: {n_ctx} tokens, the most its graph for {device} was exported for.</source>
      <translation>上下文：{n_ctx} 个词元，即导出 {device} 计算图时设定的上限。</translation>
    </message>
    <message>
      <source>Context: {n_ctx} tokens, the most the model was trained for.</source>
      <translation>上下文：{n_ctx} 个词元，即模型训练时的上限。</translation>
    </message>
    <message>
      <source>Context: {n_ctx} tokens, the most this file was exported for.</source>
      <translation>上下文：{n_ctx} 个词元，即导出此文件时设定的上限。</translation>
    </message>
    <message>
      <source>Context: {n_ctx} tokens, to leave room for reasoning.</source>
      <translation>上下文：{n_ctx} 个词元，为思考留出空间。</translation>
    </message>
    <message>
      <source>Continue answer</source>
      <translation>继续回答</translation>
    </message>
    <message>
      <source>Continue with answer {0}</source>
      <translation>用回答 {0} 继续</translation>
    </message>
    <message>
      <source>Conversation</source>
      <translation>对话</translation>
    </message>
    <message>
      <source>Conversation deleted</source>
      <translation>对话已删除</translation>
    </message>
    <message>
      <source>Conversation not found</source>
      <translation>找不到对话</translation>
    </message>
    <message>
      <source>Conversation too long</source>
      <translation>对话太长</translation>
    </message>
    <message>
      <source>Conversations</source>
      <translation>对话列表</translation>
    </message>
    <message>
      <source>Conversion failed</source>
      <translation>转换失败</translation>
    </message>
    <message>
      <source>Copied</source>
      <translation>已复制</translation>
    </message>
    <message>
      <source>Copies versions and log for a bug report, without prompts, paths or names</source>
      <translation>复制用于错误报告的版本信息和日志，不含提示词、路径和名称</translation>
    </message>
    <message>
      <source>Copy</source>
      <translation>复制</translation>
    </message>
    <message>
      <source>Copy bug report</source>
      <translation>复制错误报告</translation>
    </message>
    <message>
      <source>Copy message</source>
      <translation>复制消息</translation>
    </message>
    <message>
      <source>Copy the files (otherwise they are used in place)</source>
      <translation>复制文件（否则直接使用原位置的文件）</translation>
    </message>
    <message>
      <source>Copying</source>
      <translation>正在复制</translation>
    </message>
    <message>
      <source>Damaged checkpoint</source>
      <translation>检查点损坏</translation>
    </message>
    <message>
      <source>Damaged file</source>
      <translation>文件已损坏</translation>
    </message>
    <message>
      <source>Damaged model</source>
      <translation>模型损坏</translation>
    </message>
    <message>
      <source>Damaged model file</source>
      <translation>模型文件损坏</translation>
    </message>
    <message>
      <source>Damaged: the model lost too much; choose another recipe.</source>
      <translation>受损：模型损失过多，请另选量化方案。</translation>
    </message>
    <message>
      <source>Data (JSON)</source>
      <translation>数据 (JSON)</translation>
    </message>
    <message>
      <source>Decode</source>
      <translation>解码</translation>
    </message>
    <message>
      <source>Default</source>
      <translation>默认</translation>
    </message>
    <message>
      <source>Delete</source>
      <translation>删除</translation>
    </message>
    <message>
      <source>Delete conversation</source>
      <translation>删除对话</translation>
    </message>
    <message>
      <source>Delete from here</source>
      <translation>从此处删除</translation>
    </message>
    <message>
      <source>Delete the token from this machine</source>
      <translation>从本机删除令牌</translation>
    </message>
    <message>
      <source>Delete · frees {0}</source>
      <translation>删除 · 可释放 {0}</translation>
    </message>
    <message>
      <source>Device</source>
      <translation>设备</translation>
    </message>
    <message>
      <source>Device and engine</source>
      <translation>设备与引擎</translation>
    </message>
    <message>
      <source>Device not usable</source>
      <translation>设备不可用</translation>
    </message>
    <message>
      <source>Did you mean {suggestions}?</source>
      <translation>你是指 {suggestions} 吗？</translation>
    </message>
    <message>
      <source>Discard the {0} already downloaded?</source>
      <translation>丢弃已下载的 {0}？</translation>
    </message>
    <message>
      <source>Disk full</source>
      <translation>磁盘已满</translation>
    </message>
    <message>
      <source>Distilled from</source>
      <translation>蒸馏自</translation>
    </message>
    <message>
      <source>Done</source>
      <translation>完成</translation>
    </message>
    <message>
      <source>Download</source>
      <translation>下载</translation>
    </message>
    <message>
      <source>Download failed</source>
      <translation>下载失败</translation>
    </message>
    <message>
      <source>Download first</source>
      <translation>优先下载</translation>
    </message>
    <message>
      <source>Download limit</source>
      <translation>下载限速</translation>
    </message>
    <message>
      <source>Download or copy it again.</source>
      <translation>请重新下载或复制。</translation>
    </message>
    <message>
      <source>Download queue</source>
      <translation>下载队列</translation>
    </message>
    <message>
      <source>Download the checkpoint again.</source>
      <translation>请重新下载检查点。</translation>
    </message>
    <message>
      <source>Download the default variant from the hub, verify it and install it</source>
      <translation>从模型库下载默认版本，校验后安装</translation>
    </message>
    <message>
      <source>Download {0}</source>
      <translation>下载 {0}</translation>
    </message>
    <message>
      <source>Download {0} first</source>
      <translation>优先下载 {0}</translation>
    </message>
    <message>
      <source>Download {0} · {1}</source>
      <translation>下载 {0} · {1}</translation>
    </message>
    <message>
      <source>Download · {0}</source>
      <translation>下载 · {0}</translation>
    </message>
    <message>
      <source>Downloading</source>
      <translation>正在下载</translation>
    </message>
    <message>
      <source>Downloads</source>
      <translation>下载次数</translation>
    </message>
    <message>
      <source>Draft model</source>
      <translation>草稿模型</translation>
    </message>
    <message>
      <source>Draft model cannot be used</source>
      <translation>草稿模型不可用</translation>
    </message>
    <message>
      <source>Duplicate file</source>
      <translation>重复文件</translation>
    </message>
    <message>
      <source>Earlier</source>
      <translation>更早</translation>
    </message>
    <message>
      <source>Edit and ask again</source>
      <translation>编辑后重新提问</translation>
    </message>
    <message>
      <source>Edit message</source>
      <translation>编辑消息</translation>
    </message>
    <message>
      <source>Editing an earlier message. Sending creates a new branch; Esc cancels.</source>
      <translation>正在编辑较早的消息：发送会创建新分支，按 Esc 取消。</translation>
    </message>
    <message>
      <source>Embeddings and LM head stay on the CPU.</source>
      <translation>嵌入和 LM 头留在 CPU 上。</translation>
    </message>
    <message>
      <source>Empties the trash and deletes leftover files</source>
      <translation>清空回收站并删除残留文件</translation>
    </message>
    <message>
      <source>Engine</source>
      <translation>引擎</translation>
    </message>
    <message>
      <source>Engine not available</source>
      <translation>引擎不可用</translation>
    </message>
    <message>
      <source>English</source>
      <translation>English</translation>
    </message>
    <message>
      <source>Enter</source>
      <translation>Enter</translation>
    </message>
    <message>
      <source>Enter it again.</source>
      <translation>请重新输入。</translation>
    </message>
    <message>
      <source>Enter sends the message and Shift+Enter starts a new line. When off, the other way round.</source>
      <translation>按回车键发送，按 Shift+回车键换行。关闭后则相反。</translation>
    </message>
    <message>
      <source>Enter the right key under Remote models, or run `stillroom remote add` with the same name.</source>
      <translation>请在“远程模型”中输入正确的密钥，或用相同的名称运行 `stillroom remote add`。</translation>
    </message>
    <message>
      <source>Entry without files</source>
      <translation>没有文件的条目</translation>
    </message>
    <message>
      <source>Esc</source>
      <translation>Esc</translation>
    </message>
    <message>
      <source>Estimated from the file's size.</source>
      <translation>根据文件大小估算。</translation>
    </message>
    <message>
      <source>Expand thinking</source>
      <translation>展开思考</translation>
    </message>
    <message>
      <source>Expected</source>
      <translation>预计</translation>
    </message>
    <message>
      <source>Expected loss</source>
      <translation>预计损失</translation>
    </message>
    <message>
      <source>Expected loss for a model of {size} parameters: mean KL divergence about {likely} ({low} to {high}), {basis}.</source>
      <translation>对于 {size} 参数的模型，预计损失：平均 KL 散度约 {likely}（{low} 到 {high}），{basis}。</translation>
    </message>
    <message>
      <source>Explain why the sky is blue.</source>
      <translation>解释天空为什么是蓝色的。</translation>
    </message>
    <message>
      <source>Export</source>
      <translation>导出</translation>
    </message>
    <message>
      <source>Export conversation</source>
      <translation>导出对话</translation>
    </message>
    <message>
      <source>Exported conversations (*.json *.md *.html)</source>
      <translation>导出的对话 (*.json *.md *.html)</translation>
    </message>
    <message>
      <source>Exported to {0}</source>
      <translation>已导出到 {0}</translation>
    </message>
    <message>
      <source>Export…</source>
      <translation>导出…</translation>
    </message>
    <message>
      <source>Faithful: next to nothing was lost.</source>
      <translation>忠实：几乎没有损失。</translation>
    </message>
    <message>
      <source>Fast: 4 bits, blocks of 128, searched scales</source>
      <translation>快速：4 位，每块 128 个权重，搜索缩放系数</translation>
    </message>
    <message>
      <source>File</source>
      <translation>文件</translation>
    </message>
    <message>
      <source>Files called {label} differ between makers: from {least} to {most} on {model}.</source>
      <translation>名为 {label} 的文件因制作者而异：在 {model} 上从 {least} 到 {most}。</translation>
    </message>
    <message>
      <source>Files without a model</source>
      <translation>没有模型的文件</translation>
    </message>
    <message>
      <source>Filters</source>
      <translation>筛选</translation>
    </message>
    <message>
      <source>Find in this conversation</source>
      <translation>在此对话中查找</translation>
    </message>
    <message>
      <source>Fit</source>
      <translation>是否放得下</translation>
    </message>
    <message>
      <source>Folder (leave empty for none)</source>
      <translation>文件夹（留空表示不放入文件夹）</translation>
    </message>
    <message>
      <source>Format</source>
      <translation>格式</translation>
    </message>
    <message>
      <source>Free software under the Apache License 2.0. It contains:</source>
      <translation>自由软件，采用 Apache 许可证 2.0。其中包含：</translation>
    </message>
    <message>
      <source>Free some space and try again.</source>
      <translation>请腾出空间后重试。</translation>
    </message>
    <message>
      <source>From</source>
      <translation>来源</translation>
    </message>
    <message>
      <source>From the file header: {0} of memory, {1} tokens of context.</source>
      <translation>根据文件头：内存 {0}，上下文 {1} 个词元。</translation>
    </message>
    <message>
      <source>From the hub</source>
      <translation>来自模型库</translation>
    </message>
    <message>
      <source>Full measurement</source>
      <translation>完整测量</translation>
    </message>
    <message>
      <source>Full-precision weights, to quantize here</source>
      <translation>全精度权重，在本机量化</translation>
    </message>
    <message>
      <source>Full-precision weights: quantize them to run them here.</source>
      <translation>全精度权重：量化后才能在本机运行。</translation>
    </message>
    <message>
      <source>GB/s</source>
      <translation>GB/s</translation>
    </message>
    <message>
      <source>GGUF and ONNX formats cannot be mixed.</source>
      <translation>GGUF 与 ONNX 格式不能混用。</translation>
    </message>
    <message>
      <source>GGUF files, ready to run</source>
      <translation>GGUF 文件，可直接运行</translation>
    </message>
    <message>
      <source>Get it with `stillroom pull {path}`.</source>
      <translation>用 `stillroom pull {path}` 获取。</translation>
    </message>
    <message>
      <source>Get more models…</source>
      <translation>获取更多模型…</translation>
    </message>
    <message>
      <source>Get the full-precision weights with `stillroom pull hub:{official}` and quantize those, or continue anyway with --requantize.</source>
      <translation>用 `stillroom pull hub:{official}` 获取全精度权重后再量化，或用 --requantize 照样继续。</translation>
    </message>
    <message>
      <source>Get the starter model</source>
      <translation>获取入门模型</translation>
    </message>
    <message>
      <source>HOST:PORT of llama.cpp RPC servers, separated by commas. Use only in trusted networks.</source>
      <translation>llama.cpp RPC 服务器的 HOST:PORT，以逗号分隔。仅在可信网络中使用。</translation>
    </message>
    <message>
      <source>Help</source>
      <translation>帮助</translation>
    </message>
    <message>
      <source>Help text</source>
      <translation>帮助正文</translation>
    </message>
    <message>
      <source>History unavailable</source>
      <translation>历史记录不可用</translation>
    </message>
    <message>
      <source>Hub access token</source>
      <translation>模型库的访问令牌</translation>
    </message>
    <message>
      <source>Hub address</source>
      <translation>模型库地址</translation>
    </message>
    <message>
      <source>Hub error</source>
      <translation>模型库出错</translation>
    </message>
    <message>
      <source>If memory was low, choose a smaller model or context. Your conversation is safe; send again to continue.</source>
      <translation>如果内存不足，请选择更小的模型或上下文。对话已保存；再次发送即可继续。</translation>
    </message>
    <message>
      <source>If you trust that address, add it in place of this one.</source>
      <translation>如果你信任那个地址，请用它替换这一个。</translation>
    </message>
    <message>
      <source>Import</source>
      <translation>导入</translation>
    </message>
    <message>
      <source>Import a file…</source>
      <translation>导入文件…</translation>
    </message>
    <message>
      <source>Import a folder with a model</source>
      <translation>导入包含模型的文件夹</translation>
    </message>
    <message>
      <source>Import a folder…</source>
      <translation>导入文件夹…</translation>
    </message>
    <message>
      <source>Import a model file</source>
      <translation>导入模型文件</translation>
    </message>
    <message>
      <source>Import conversation</source>
      <translation>导入对话</translation>
    </message>
    <message>
      <source>Import from other programs…</source>
      <translation>从其他程序导入…</translation>
    </message>
    <message>
      <source>Import models</source>
      <translation>导入模型</translation>
    </message>
    <message>
      <source>In the system keyring, where there is one</source>
      <translation>保存在系统密钥环中（如有）</translation>
    </message>
    <message>
      <source>Included packages</source>
      <translation>包含的软件包</translation>
    </message>
    <message>
      <source>Incomplete checkpoint</source>
      <translation>检查点不完整</translation>
    </message>
    <message>
      <source>Install · {0}</source>
      <translation>安装 · {0}</translation>
    </message>
    <message>
      <source>Installed</source>
      <translation>已安装</translation>
    </message>
    <message>
      <source>Installed as {0}</source>
      <translation>已安装为 {0}</translation>
    </message>
    <message>
      <source>Installed models are kept</source>
      <translation>已安装的模型会保留</translation>
    </message>
    <message>
      <source>Installed models work without a network.</source>
      <translation>已安装的模型无需网络。</translation>
    </message>
    <message>
      <source>Installed models work without one.</source>
      <translation>已安装的模型无需网络即可使用。</translation>
    </message>
    <message>
      <source>Installing</source>
      <translation>正在安装</translation>
    </message>
    <message>
      <source>Instructions for every answer (system prompt)</source>
      <translation>每次回答都遵循的指示（系统提示词）</translation>
    </message>
    <message>
      <source>Interrupted</source>
      <translation>已中断</translation>
    </message>
    <message>
      <source>Invalid catalog</source>
      <translation>目录无效</translation>
    </message>
    <message>
      <source>Invalid request</source>
      <translation>请求无效</translation>
    </message>
    <message>
      <source>Invalid setting</source>
      <translation>设置无效</translation>
    </message>
    <message>
      <source>Invalid weights</source>
      <translation>权重无效</translation>
    </message>
    <message>
      <source>It was as fast as predicted.</source>
      <translation>速度与预测一致。</translation>
    </message>
    <message>
      <source>KV cache</source>
      <translation>KV 缓存</translation>
    </message>
    <message>
      <source>KV cache in GB</source>
      <translation>KV 缓存（GB）</translation>
    </message>
    <message>
      <source>KV cache type</source>
      <translation>KV 缓存类型</translation>
    </message>
    <message>
      <source>Keep this answer</source>
      <translation>保留此回答</translation>
    </message>
    <message>
      <source>Kernel</source>
      <translation>内核</translation>
    </message>
    <message>
      <source>Key not accepted</source>
      <translation>密钥未被接受</translation>
    </message>
    <message>
      <source>Key: {0}</source>
      <translation>密钥：{0}</translation>
    </message>
    <message>
      <source>Keyboard</source>
      <translation>键盘</translation>
    </message>
    <message>
      <source>LM head</source>
      <translation>LM 头</translation>
    </message>
    <message>
      <source>Language</source>
      <translation>语言</translation>
    </message>
    <message>
      <source>Last 7 days</source>
      <translation>最近 7 天</translation>
    </message>
    <message>
      <source>Last model</source>
      <translation>上次的模型</translation>
    </message>
    <message>
      <source>Leave empty for none</source>
      <translation>留空表示没有</translation>
    </message>
    <message>
      <source>Leave empty if the server offers only one</source>
      <translation>如果服务器只提供一个模型，可留空</translation>
    </message>
    <message>
      <source>Leave empty to keep the saved key; a new address needs it again</source>
      <translation>留空则沿用已保存的密钥；更换地址后需重新输入</translation>
    </message>
    <message>
      <source>Leave empty to use the system proxy</source>
      <translation>留空则使用系统代理</translation>
    </message>
    <message>
      <source>Left over from an interrupted process</source>
      <translation>中断的进程留下的残留</translation>
    </message>
    <message>
      <source>Let other programs on this machine use the models through an OpenAI-compatible API, with a key.</source>
      <translation>让本机的其他程序凭密钥通过 OpenAI 兼容 API 使用模型。</translation>
    </message>
    <message>
      <source>Library</source>
      <translation>模型管理</translation>
    </message>
    <message>
      <source>Licence</source>
      <translation>许可证</translation>
    </message>
    <message>
      <source>Light, dark, or the system default.</source>
      <translation>浅色、深色或跟随系统。</translation>
    </message>
    <message>
      <source>Limit</source>
      <translation>上限</translation>
    </message>
    <message>
      <source>Line: bytes read per second. Dashed: bytes a model reads per token. Dotted: CPU cache sizes.</source>
      <translation>实线：每秒读取量。虚线：模型每个词元的读取量。点线：CPU 缓存大小。</translation>
    </message>
    <message>
      <source>Line: limit set by memory bandwidth. Bars: predicted. Dots: measured. Dotted line: reading speed.</source>
      <translation>实线：内存带宽决定的上限。条形：预测。圆点：实测。虚线：阅读速度。</translation>
    </message>
    <message>
      <source>Load</source>
      <translation>加载</translation>
    </message>
    <message>
      <source>Load again</source>
      <translation>重新加载</translation>
    </message>
    <message>
      <source>Load all variants and the model card from the hub</source>
      <translation>从模型库载入全部量化版本和模型卡</translation>
    </message>
    <message>
      <source>Load it again, or choose a smaller model or context.</source>
      <translation>请重新加载，或选择更小的模型或更短的上下文。</translation>
    </message>
    <message>
      <source>Load it again.</source>
      <translation>请重新加载。</translation>
    </message>
    <message>
      <source>Load the model into memory now</source>
      <translation>现在就把模型加载到内存</translation>
    </message>
    <message>
      <source>Loaded in {0} by {1} {2}</source>
      <translation>已由 {1} {2} 加载，用时 {0}</translation>
    </message>
    <message>
      <source>Loading the model</source>
      <translation>正在加载模型</translation>
    </message>
    <message>
      <source>Local server</source>
      <translation>本地服务器</translation>
    </message>
    <message>
      <source>Longer than the context of {0} tokens</source>
      <translation>比 {0} 个词元的上下文更长</translation>
    </message>
    <message>
      <source>Mapped file</source>
      <translation>映射文件</translation>
    </message>
    <message>
      <source>Matching commands</source>
      <translation>匹配的命令</translation>
    </message>
    <message>
      <source>Mean KL divergence {0}; same top token at {1} % of {2} positions.</source>
      <translation>平均 KL 散度 {0}；{2} 个位置中有 {1} % 的首选词元相同。</translation>
    </message>
    <message>
      <source>Measure again on the Speed page; if it stays slow, check power settings and other load.</source>
      <translation>请在“速度”页重新测量；如果仍然很慢，请检查电源设置和其他负载。</translation>
    </message>
    <message>
      <source>Measure loss</source>
      <translation>测量损失</translation>
    </message>
    <message>
      <source>Measure the quality loss afterwards</source>
      <translation>完成后测量质量损失</translation>
    </message>
    <message>
      <source>Measure this machine</source>
      <translation>测量本机</translation>
    </message>
    <message>
      <source>Measure what quantization cost against {0}</source>
      <translation>以 {0} 为参照测量量化的损失</translation>
    </message>
    <message>
      <source>Measured</source>
      <translation>实测</translation>
    </message>
    <message>
      <source>Measured (median)</source>
      <translation>实测（中位数）</translation>
    </message>
    <message>
      <source>Measured loss</source>
      <translation>测得的损失</translation>
    </message>
    <message>
      <source>Measured {0}</source>
      <translation>测量于 {0}</translation>
    </message>
    <message>
      <source>Measuring</source>
      <translation>正在测量</translation>
    </message>
    <message>
      <source>Megabytes per second for all downloads together; 0 means no limit.</source>
      <translation>所有下载合计，每秒兆字节；0 表示不限速。</translation>
    </message>
    <message>
      <source>Memory</source>
      <translation>内存</translation>
    </message>
    <message>
      <source>Memory bandwidth</source>
      <translation>内存带宽</translation>
    </message>
    <message>
      <source>Memory by batch and context</source>
      <translation>按批大小与上下文的内存</translation>
    </message>
    <message>
      <source>Memory measured</source>
      <translation>实测内存</translation>
    </message>
    <message>
      <source>Memory planned</source>
      <translation>计划内存</translation>
    </message>
    <message>
      <source>Message</source>
      <translation>消息</translation>
    </message>
    <message>
      <source>Message text</source>
      <translation>消息正文</translation>
    </message>
    <message>
      <source>Messages deleted</source>
      <translation>消息已删除</translation>
    </message>
    <message>
      <source>Min p</source>
      <translation>Min p</translation>
    </message>
    <message>
      <source>Model</source>
      <translation>模型</translation>
    </message>
    <message>
      <source>Model card</source>
      <translation>模型卡</translation>
    </message>
    <message>
      <source>Model for the next answer</source>
      <translation>下一个回答的模型</translation>
    </message>
    <message>
      <source>Model name on the server</source>
      <translation>服务器上的模型名称</translation>
    </message>
    <message>
      <source>Models</source>
      <translation>模型</translation>
    </message>
    <message>
      <source>Models as a table</source>
      <translation>模型表格</translation>
    </message>
    <message>
      <source>Models folder</source>
      <translation>模型文件夹</translation>
    </message>
    <message>
      <source>Models folder in use</source>
      <translation>模型文件夹正在使用</translation>
    </message>
    <message>
      <source>Models found</source>
      <translation>找到的模型</translation>
    </message>
    <message>
      <source>More results</source>
      <translation>更多结果</translation>
    </message>
    <message>
      <source>Most downloaded</source>
      <translation>下载最多</translation>
    </message>
    <message>
      <source>Most liked</source>
      <translation>最受欢迎</translation>
    </message>
    <message>
      <source>Move conversation to folder</source>
      <translation>将对话移到文件夹</translation>
    </message>
    <message>
      <source>Move the models folder…</source>
      <translation>移动模型文件夹…</translation>
    </message>
    <message>
      <source>Move to folder</source>
      <translation>移到文件夹</translation>
    </message>
    <message>
      <source>Move to folder…</source>
      <translation>移到文件夹…</translation>
    </message>
    <message>
      <source>Move to the trash; can be undone</source>
      <translation>移到回收站；可以撤销</translation>
    </message>
    <message>
      <source>Moving</source>
      <translation>正在移动</translation>
    </message>
    <message>
      <source>Name</source>
      <translation>名称</translation>
    </message>
    <message>
      <source>Name a model, or give two files with --compare.</source>
      <translation>请指定模型，或用 --compare 给出两个文件。</translation>
    </message>
    <message>
      <source>Name the model it was made from with --against.</source>
      <translation>请用 --against 指定其来源模型。</translation>
    </message>
    <message>
      <source>Network</source>
      <translation>网络</translation>
    </message>
    <message>
      <source>New chat</source>
      <translation>新对话</translation>
    </message>
    <message>
      <source>New chat (Ctrl+N)</source>
      <translation>新对话 (Ctrl+N)</translation>
    </message>
    <message>
      <source>New remote model</source>
      <translation>新建远程模型</translation>
    </message>
    <message>
      <source>Newest</source>
      <translation>最新发布</translation>
    </message>
    <message>
      <source>Next</source>
      <translation>下一步</translation>
    </message>
    <message>
      <source>Next branch</source>
      <translation>下一分支</translation>
    </message>
    <message>
      <source>Next pane</source>
      <translation>下一窗格</translation>
    </message>
    <message>
      <source>No address to check for updates is set.</source>
      <translation>没有设置检查更新的地址。</translation>
    </message>
    <message>
      <source>No answer with a predicted speed yet.</source>
      <translation>还没有带预测速度的回答。</translation>
    </message>
    <message>
      <source>No choice of formats makes a file of {asked}.</source>
      <translation>没有任何格式组合能得到 {asked} 的文件。</translation>
    </message>
    <message>
      <source>No conversations yet</source>
      <translation>还没有对话</translation>
    </message>
    <message>
      <source>No difference that this text can show: {first} and {second} are about equally close to {source}. Their mean KL divergences differ by {difference} ({low} to {high}).</source>
      <translation>这份文本看不出差别：{first} 和 {second} 与 {source} 的接近程度大致相同，平均 KL 散度相差 {difference}（{low} 到 {high}）。</translation>
    </message>
    <message>
      <source>No engine can score models of this format ({formats}).</source>
      <translation>没有引擎能评测这种格式的模型（{formats}）。</translation>
    </message>
    <message>
      <source>No engine could run this model here: {failed}.</source>
      <translation>此处没有引擎能运行这个模型：{failed}。</translation>
    </message>
    <message>
      <source>No engine here can run {file}: {reason}{said}.</source>
      <translation>此处没有引擎能运行 {file}：{reason}{said}。</translation>
    </message>
    <message>
      <source>No engine ran the model</source>
      <translation>没有引擎能运行该模型</translation>
    </message>
    <message>
      <source>No engine that may be used reads this model's formats ({formats}).</source>
      <translation>可用的引擎都不能读取该模型的格式（{formats}）。</translation>
    </message>
    <message>
      <source>No gated models</source>
      <translation>不含受限模型</translation>
    </message>
    <message>
      <source>No match among the first results. “More results” searches further.</source>
      <translation>最前面的结果中没有匹配项。点击“更多结果”继续查找。</translation>
    </message>
    <message>
      <source>No match here. Press Enter to search the hub.</source>
      <translation>这里没有匹配项。按回车键搜索模型库。</translation>
    </message>
    <message>
      <source>No model</source>
      <translation>没有模型</translation>
    </message>
    <message>
      <source>No model is loaded.</source>
      <translation>尚未加载模型。</translation>
    </message>
    <message>
      <source>No model named {name} is installed.</source>
      <translation>没有安装名为 {name} 的模型。</translation>
    </message>
    <message>
      <source>No model of this size was measured in this format.</source>
      <translation>此格式尚未在此规模的模型上测量过。</translation>
    </message>
    <message>
      <source>No new models were found.</source>
      <translation>没有找到新的模型。</translation>
    </message>
    <message>
      <source>No pack named {path} is installed.</source>
      <translation>没有安装名为 {path} 的附加包。</translation>
    </message>
    <message>
      <source>No plan yet</source>
      <translation>还没有方案</translation>
    </message>
    <message>
      <source>No runs yet: every answer adds one.</source>
      <translation>还没有运行记录：每次回答都会添加一条。</translation>
    </message>
    <message>
      <source>No speed is predicted: {device} has not been measured yet.</source>
      <translation>无法预测速度：{device} 尚未测量。</translation>
    </message>
    <message>
      <source>No such file</source>
      <translation>没有此文件</translation>
    </message>
    <message>
      <source>No token for {0} is saved.</source>
      <translation>没有保存 {0} 的令牌。</translation>
    </message>
    <message>
      <source>None of the measurements explains it.</source>
      <translation>现有测量数据无法解释。</translation>
    </message>
    <message>
      <source>Not an OpenAI-compatible server</source>
      <translation>不是兼容 OpenAI 的服务器</translation>
    </message>
    <message>
      <source>Not chosen</source>
      <translation>未采用</translation>
    </message>
    <message>
      <source>Not enough memory</source>
      <translation>内存不足</translation>
    </message>
    <message>
      <source>Not found</source>
      <translation>未找到</translation>
    </message>
    <message>
      <source>Not installed</source>
      <translation>未安装</translation>
    </message>
    <message>
      <source>Not loaded; loads with the first message</source>
      <translation>未加载；发送第一条消息时加载</translation>
    </message>
    <message>
      <source>Not measured yet. Predictions need a measurement, which takes a few seconds.</source>
      <translation>尚未测量。预测需要先做一次几秒钟的测量。</translation>
    </message>
    <message>
      <source>Not measured: {0}</source>
      <translation>未测量：{0}</translation>
    </message>
    <message>
      <source>Not offline: what you write is sent to {0}</source>
      <translation>非离线：你写的内容会发送到 {0}</translation>
    </message>
    <message>
      <source>Not opened to the network</source>
      <translation>未向网络开放</translation>
    </message>
    <message>
      <source>Not reachable</source>
      <translation>无法连接</translation>
    </message>
    <message>
      <source>Not the hub</source>
      <translation>不是模型库</translation>
    </message>
    <message>
      <source>Nothing found</source>
      <translation>没有找到</translation>
    </message>
    <message>
      <source>Nothing has been measured here yet, so the default order of placements applies.</source>
      <translation>本机尚未测量，因此按默认的放置顺序选择。</translation>
    </message>
    <message>
      <source>Nothing on the hub matches.</source>
      <translation>模型库中没有匹配项。</translation>
    </message>
    <message>
      <source>Noticeable: answers differ, mostly in detail.</source>
      <translation>可察觉：回答有差别，多在细节。</translation>
    </message>
    <message>
      <source>Notify when done</source>
      <translation>完成时通知</translation>
    </message>
    <message>
      <source>Number format of the KV cache.</source>
      <translation>KV 缓存的数值格式。</translation>
    </message>
    <message>
      <source>ONNX Runtime: also NPUs</source>
      <translation>ONNX Runtime：也支持 NPU</translation>
    </message>
    <message>
      <source>ONNX folders</source>
      <translation>ONNX 文件夹</translation>
    </message>
    <message>
      <source>ONNX folders need one ONNX format throughout.</source>
      <translation>ONNX 文件夹须始终使用同一种 ONNX 格式。</translation>
    </message>
    <message>
      <source>Offline</source>
      <translation>离线</translation>
    </message>
    <message>
      <source>On this machine</source>
      <translation>在本机上</translation>
    </message>
    <message>
      <source>Only models that fit</source>
      <translation>只显示放得下的模型</translation>
    </message>
    <message>
      <source>Open a browser and sign in to the network.</source>
      <translation>请打开浏览器登录网络。</translation>
    </message>
    <message>
      <source>Open link</source>
      <translation>打开链接</translation>
    </message>
    <message>
      <source>Open log folder</source>
      <translation>打开日志文件夹</translation>
    </message>
    <message>
      <source>Open model page</source>
      <translation>打开模型网页</translation>
    </message>
    <message>
      <source>Open this address in the web browser?</source>
      <translation>在浏览器中打开这个地址吗？</translation>
    </message>
    <message>
      <source>Other programs were busy during the measurement; close them and measure again.</source>
      <translation>测量时其他程序正忙；请关闭它们后重新测量。</translation>
    </message>
    <message>
      <source>Out of memory</source>
      <translation>内存耗尽</translation>
    </message>
    <message>
      <source>Output</source>
      <translation>输出</translation>
    </message>
    <message>
      <source>Package not available</source>
      <translation>软件包不可用</translation>
    </message>
    <message>
      <source>Parameters</source>
      <translation>参数量</translation>
    </message>
    <message>
      <source>Pause</source>
      <translation>暂停</translation>
    </message>
    <message>
      <source>Pause {0}</source>
      <translation>暂停 {0}</translation>
    </message>
    <message>
      <source>Paused</source>
      <translation>已暂停</translation>
    </message>
    <message>
      <source>Picture (PNG)</source>
      <translation>图片 (PNG)</translation>
    </message>
    <message>
      <source>Pin</source>
      <translation>置顶</translation>
    </message>
    <message>
      <source>Pin or unpin conversation</source>
      <translation>置顶或取消置顶对话</translation>
    </message>
    <message>
      <source>Pinned</source>
      <translation>已置顶</translation>
    </message>
    <message>
      <source>Placement</source>
      <translation>放置方式</translation>
    </message>
    <message>
      <source>Placement of the model</source>
      <translation>模型的放置</translation>
    </message>
    <message>
      <source>Plan</source>
      <translation>方案</translation>
    </message>
    <message>
      <source>Planning…</source>
      <translation>正在规划…</translation>
    </message>
    <message>
      <source>Plot</source>
      <translation>图</translation>
    </message>
    <message>
      <source>Plug the machine in.</source>
      <translation>请接上电源。</translation>
    </message>
    <message>
      <source>Port in use</source>
      <translation>端口被占用</translation>
    </message>
    <message>
      <source>Port of the local server, on this machine only.</source>
      <translation>本地服务器的端口，仅限本机。</translation>
    </message>
    <message>
      <source>Predicted</source>
      <translation>预测</translation>
    </message>
    <message>
      <source>Predicted (high)</source>
      <translation>预测上限</translation>
    </message>
    <message>
      <source>Predicted (low)</source>
      <translation>预测下限</translation>
    </message>
    <message>
      <source>Predicted and measured</source>
      <translation>预测与实测</translation>
    </message>
    <message>
      <source>Prefer</source>
      <translation>偏好</translation>
    </message>
    <message>
      <source>Prefill</source>
      <translation>预填充</translation>
    </message>
    <message>
      <source>Press Enter to search the hub</source>
      <translation>按回车键搜索模型库</translation>
    </message>
    <message>
      <source>Previous</source>
      <translation>上一个</translation>
    </message>
    <message>
      <source>Previous branch</source>
      <translation>上一分支</translation>
    </message>
    <message>
      <source>Previous pane</source>
      <translation>上一窗格</translation>
    </message>
    <message>
      <source>Print</source>
      <translation>打印</translation>
    </message>
    <message>
      <source>Processing the prompt</source>
      <translation>正在处理提示词</translation>
    </message>
    <message>
      <source>Progress</source>
      <translation>进度</translation>
    </message>
    <message>
      <source>Progress of {0}</source>
      <translation>{0} 的进度</translation>
    </message>
    <message>
      <source>Prompts and the key can then be read in transit</source>
      <translation>提示词和密钥在传输途中可能被他人读取</translation>
    </message>
    <message>
      <source>Prompts are processed {n_ubatch} tokens at a time instead of {usual}: larger compute buffers would not fit.</source>
      <translation>提示词每次处理 {n_ubatch} 个词元，而不是 {usual} 个：更大的计算缓冲区放不下。</translation>
    </message>
    <message>
      <source>Proxy</source>
      <translation>代理</translation>
    </message>
    <message>
      <source>Q4_0, searched scales</source>
      <translation>Q4_0，搜索缩放系数</translation>
    </message>
    <message>
      <source>Q4_0, searched scales with calibration</source>
      <translation>Q4_0，搜索缩放系数并用文本校准</translation>
    </message>
    <message>
      <source>Quantization failed</source>
      <translation>量化失败</translation>
    </message>
    <message>
      <source>Quantize</source>
      <translation>量化</translation>
    </message>
    <message>
      <source>Quantize here to {0}</source>
      <translation>在本机量化为 {0}</translation>
    </message>
    <message>
      <source>Quantize here: download the official weights and create the 4-bit file on this machine.</source>
      <translation>在本机量化：下载官方权重，在本机生成 4 位文件。</translation>
    </message>
    <message>
      <source>Quantize it anyway</source>
      <translation>照样量化</translation>
    </message>
    <message>
      <source>Quantize {0}</source>
      <translation>量化 {0}</translation>
    </message>
    <message>
      <source>Quantize…</source>
      <translation>量化…</translation>
    </message>
    <message>
      <source>Quantizing</source>
      <translation>正在量化</translation>
    </message>
    <message>
      <source>Queued</source>
      <translation>排队中</translation>
    </message>
    <message>
      <source>Quick to make.</source>
      <translation>生成很快。</translation>
    </message>
    <message>
      <source>Quit</source>
      <translation>退出</translation>
    </message>
    <message>
      <source>RPC servers</source>
      <translation>RPC 服务器</translation>
    </message>
    <message>
      <source>Raise the container's CPU quota.</source>
      <translation>请提高容器的 CPU 配额。</translation>
    </message>
    <message>
      <source>Raise the limit, or choose a smaller model.</source>
      <translation>请提高限制，或选择更小的模型。</translation>
    </message>
    <message>
      <source>Read per token</source>
      <translation>每词元读取</translation>
    </message>
    <message>
      <source>Read rate</source>
      <translation>读取速率</translation>
    </message>
    <message>
      <source>Reasoning and mathematics at a size that fits most laptops.</source>
      <translation>推理和数学，大小适合多数笔记本电脑。</translation>
    </message>
    <message>
      <source>Reasoning on the Llama base, with broader general knowledge.</source>
      <translation>基于 Llama 的推理模型，常识更广。</translation>
    </message>
    <message>
      <source>Recently updated</source>
      <translation>最近更新</translation>
    </message>
    <message>
      <source>Recipe</source>
      <translation>方案</translation>
    </message>
    <message>
      <source>Recommended for this machine: {0}</source>
      <translation>本机推荐：{0}</translation>
    </message>
    <message>
      <source>Recommended use</source>
      <translation>建议用法</translation>
    </message>
    <message>
      <source>Redirected</source>
      <translation>被重定向</translation>
    </message>
    <message>
      <source>Refuse every network request, even one you ask for.</source>
      <translation>拒绝一切网络请求，即使是主动发起的。</translation>
    </message>
    <message>
      <source>Refused</source>
      <translation>被拒绝</translation>
    </message>
    <message>
      <source>Reinstall Stillroom.</source>
      <translation>请重新安装 Stillroom。</translation>
    </message>
    <message>
      <source>Remote model</source>
      <translation>远程模型</translation>
    </message>
    <message>
      <source>Remote models</source>
      <translation>远程模型</translation>
    </message>
    <message>
      <source>Remote models…</source>
      <translation>远程模型…</translation>
    </message>
    <message>
      <source>Remove</source>
      <translation>移除</translation>
    </message>
    <message>
      <source>Remove it and download it again.</source>
      <translation>请移除后重新下载。</translation>
    </message>
    <message>
      <source>Remove this model and its key</source>
      <translation>删除此模型及其密钥</translation>
    </message>
    <message>
      <source>Remove {0}</source>
      <translation>移除 {0}</translation>
    </message>
    <message>
      <source>Removed</source>
      <translation>已移除</translation>
    </message>
    <message>
      <source>Removed.</source>
      <translation>已删除。</translation>
    </message>
    <message>
      <source>Rename</source>
      <translation>重命名</translation>
    </message>
    <message>
      <source>Rename conversation</source>
      <translation>重命名对话</translation>
    </message>
    <message>
      <source>Repeat penalty</source>
      <translation>重复惩罚</translation>
    </message>
    <message>
      <source>Repository</source>
      <translation>仓库</translation>
    </message>
    <message>
      <source>Request access at {url}, then enter your token.</source>
      <translation>请在 {url} 申请访问权限，然后输入你的令牌。</translation>
    </message>
    <message>
      <source>Requests from web pages of other sites are refused.</source>
      <translation>不响应其他网站的网页。</translation>
    </message>
    <message>
      <source>Reset {0} to its default</source>
      <translation>恢复“{0}”的默认值</translation>
    </message>
    <message>
      <source>Restore</source>
      <translation>恢复</translation>
    </message>
    <message>
      <source>Restore models.json.</source>
      <translation>请恢复 models.json。</translation>
    </message>
    <message>
      <source>Restore the selected model</source>
      <translation>恢复选中的模型</translation>
    </message>
    <message>
      <source>Resume</source>
      <translation>继续</translation>
    </message>
    <message>
      <source>Resume {0}</source>
      <translation>继续 {0}</translation>
    </message>
    <message>
      <source>Roofline</source>
      <translation>屋顶线</translation>
    </message>
    <message>
      <source>Run pip install 'stillroom[eval]', or choose another interpreter with --python.</source>
      <translation>请运行 pip install 'stillroom[eval]'，或用 --python 指定另一个解释器。</translation>
    </message>
    <message>
      <source>Runs</source>
      <translation>运行记录</translation>
    </message>
    <message>
      <source>SHA-256 of all files</source>
      <translation>全部文件的 SHA-256</translation>
    </message>
    <message>
      <source>Save</source>
      <translation>保存</translation>
    </message>
    <message>
      <source>Save as a picture, a table or data</source>
      <translation>保存为图片、表格或数据</translation>
    </message>
    <message>
      <source>Save it and ask the server which models it offers</source>
      <translation>保存，并询问服务器提供哪些模型</translation>
    </message>
    <message>
      <source>Save token</source>
      <translation>保存令牌</translation>
    </message>
    <message>
      <source>Saved in a file that only you can read.</source>
      <translation>已保存在只有你能读取的文件中。</translation>
    </message>
    <message>
      <source>Saved in the system keyring.</source>
      <translation>已保存在系统的密钥环中。</translation>
    </message>
    <message>
      <source>Saved with the existing key.</source>
      <translation>已保存，沿用原来的密钥。</translation>
    </message>
    <message>
      <source>Saved without a key.</source>
      <translation>已保存，没有密钥。</translation>
    </message>
    <message>
      <source>Saved, with its key in a file that only you can read.</source>
      <translation>已保存，密钥在只有你能读取的文件中。</translation>
    </message>
    <message>
      <source>Saved, with its key in the system keyring.</source>
      <translation>已保存，密钥在系统的密钥环中。</translation>
    </message>
    <message>
      <source>Save…</source>
      <translation>保存…</translation>
    </message>
    <message>
      <source>Search all chats</source>
      <translation>搜索所有对话</translation>
    </message>
    <message>
      <source>Search all conversations</source>
      <translation>搜索所有对话</translation>
    </message>
    <message>
      <source>Search conversations</source>
      <translation>搜索对话</translation>
    </message>
    <message>
      <source>Search models</source>
      <translation>搜索模型</translation>
    </message>
    <message>
      <source>Search settings</source>
      <translation>搜索设置</translation>
    </message>
    <message>
      <source>Search the help</source>
      <translation>搜索帮助</translation>
    </message>
    <message>
      <source>Search this page</source>
      <translation>在当前页搜索</translation>
    </message>
    <message>
      <source>Send</source>
      <translation>发送</translation>
    </message>
    <message>
      <source>Send with Enter</source>
      <translation>按回车键发送</translation>
    </message>
    <message>
      <source>Server error</source>
      <translation>服务器出错</translation>
    </message>
    <message>
      <source>Server port</source>
      <translation>服务器端口</translation>
    </message>
    <message>
      <source>Set CPU threads to 0 in the settings.</source>
      <translation>请在设置中把 CPU 线程数设为 0。</translation>
    </message>
    <message>
      <source>Set up Stillroom again on this machine so that the engine is built for its processor.</source>
      <translation>请在这台电脑上重新安装 Stillroom，以便引擎按此处理器编译。</translation>
    </message>
    <message>
      <source>Settings</source>
      <translation>设置</translation>
    </message>
    <message>
      <source>Several conversations match {name}; use the number of one.</source>
      <translation>有多个对话与 {name} 相符；请使用其中一个的编号。</translation>
    </message>
    <message>
      <source>Shift+Enter</source>
      <translation>Shift+Enter</translation>
    </message>
    <message>
      <source>Shortcut</source>
      <translation>快捷键</translation>
    </message>
    <message>
      <source>Show</source>
      <translation>查看</translation>
    </message>
    <message>
      <source>Show a notification when a long answer or a download finishes while the window is in the background.</source>
      <translation>窗口在后台时，长回答或下载完成后显示通知。</translation>
    </message>
    <message>
      <source>Show all models of this list in a table</source>
      <translation>用表格比较列表中的所有模型</translation>
    </message>
    <message>
      <source>Show all of a model's thinking instead of one line.</source>
      <translation>显示模型的全部思考，而不只是一行。</translation>
    </message>
    <message>
      <source>Show chat</source>
      <translation>显示对话</translation>
    </message>
    <message>
      <source>Show earlier messages</source>
      <translation>显示更早的消息</translation>
    </message>
    <message>
      <source>Show earlier results</source>
      <translation>显示之前的结果</translation>
    </message>
    <message>
      <source>Show models</source>
      <translation>显示模型</translation>
    </message>
    <message>
      <source>Show or hide the side panel</source>
      <translation>显示或隐藏侧栏</translation>
    </message>
    <message>
      <source>Show speed</source>
      <translation>显示速度</translation>
    </message>
    <message>
      <source>Show the latest results from the hub</source>
      <translation>显示模型库上次返回的结果</translation>
    </message>
    <message>
      <source>Show the side panel</source>
      <translation>显示侧栏</translation>
    </message>
    <message>
      <source>Show the tour</source>
      <translation>显示导览</translation>
    </message>
    <message>
      <source>Shown once this machine has been measured.</source>
      <translation>测量本机后显示。</translation>
    </message>
    <message>
      <source>Side panel</source>
      <translation>侧栏</translation>
    </message>
    <message>
      <source>Size</source>
      <translation>大小</translation>
    </message>
    <message>
      <source>Size not possible</source>
      <translation>无法做到这个大小</translation>
    </message>
    <message>
      <source>Size of all text in percent.</source>
      <translation>所有文字的大小，百分比。</translation>
    </message>
    <message>
      <source>Size on disk</source>
      <translation>磁盘占用</translation>
    </message>
    <message>
      <source>Sizes are estimates for {block_format}: the file has not been downloaded yet.</source>
      <translation>大小按 {block_format} 估算：文件尚未下载。</translation>
    </message>
    <message>
      <source>Sizes from {least} to {most} are possible.</source>
      <translation>可选的大小为 {least} 到 {most}。</translation>
    </message>
    <message>
      <source>Skip</source>
      <translation>跳过</translation>
    </message>
    <message>
      <source>Slightly closer to the original; takes longer to make.</source>
      <translation>略接近原模型，生成时间较长。</translation>
    </message>
    <message>
      <source>SmolLM2 135M needs about 100 MB and shows how everything works.</source>
      <translation>SmolLM2 135M 约需 100 MB，可展示整个流程。</translation>
    </message>
    <message>
      <source>Some matrices, such as experts, were rounded without error feedback.</source>
      <translation>部分矩阵（如专家）在舍入时未使用误差反馈。</translation>
    </message>
    <message>
      <source>Some rows were padded to the block size.</source>
      <translation>部分行已填充到块大小。</translation>
    </message>
    <message>
      <source>Something other than the hub replied at {url}, perhaps a network sign-in page.</source>
      <translation>{url} 处应答的不是模型库，可能是网络登录页面。</translation>
    </message>
    <message>
      <source>Something went wrong</source>
      <translation>出错了</translation>
    </message>
    <message>
      <source>Sort by</source>
      <translation>排序</translation>
    </message>
    <message>
      <source>Sort order</source>
      <translation>排序</translation>
    </message>
    <message>
      <source>Sort order and variant apply to hub results.</source>
      <translation>排序和量化版本只作用于模型库的结果。</translation>
    </message>
    <message>
      <source>Sort the table by</source>
      <translation>表格排序方式</translation>
    </message>
    <message>
      <source>Sorted by {0}, ascending</source>
      <translation>已按{0}升序排序</translation>
    </message>
    <message>
      <source>Sorted by {0}, descending</source>
      <translation>已按{0}降序排序</translation>
    </message>
    <message>
      <source>Source</source>
      <translation>来源</translation>
    </message>
    <message>
      <source>Speculative decoding turns itself off while it does not help.</source>
      <translation>推测解码没有收益时会自行关闭。</translation>
    </message>
    <message>
      <source>Speed</source>
      <translation>速度</translation>
    </message>
    <message>
      <source>Speed is predicted once this machine has been measured (Speed page).</source>
      <translation>测量本机后即可预测速度（在“速度”页测量）。</translation>
    </message>
    <message>
      <source>Speed over time</source>
      <translation>速度变化</translation>
    </message>
    <message>
      <source>Speed, the predicted range and memory are shown here. “Why?” explains them. Press F1 for help.</source>
      <translation>这里显示速度、预测范围和内存。点“为什么？”查看解释。按 F1 查看帮助。</translation>
    </message>
    <message>
      <source>Stages: {0}</source>
      <translation>各阶段：{0}</translation>
    </message>
    <message>
      <source>Start a new chat, or use an 8-bit KV cache.</source>
      <translation>请开始新对话，或使用 8 位 KV 缓存。</translation>
    </message>
    <message>
      <source>Start from the full-precision weights, or continue anyway with --requantize.</source>
      <translation>请从全精度权重开始，或用 --requantize 照样继续。</translation>
    </message>
    <message>
      <source>Start it again; it resumes where it stopped.</source>
      <translation>请重新开始，会从中断处继续。</translation>
    </message>
    <message>
      <source>Start with a small model</source>
      <translation>从一个小模型开始</translation>
    </message>
    <message>
      <source>Starting</source>
      <translation>正在启动</translation>
    </message>
    <message>
      <source>Starting the engine again</source>
      <translation>正在重新启动引擎</translation>
    </message>
    <message>
      <source>Stay offline</source>
      <translation>保持离线</translation>
    </message>
    <message>
      <source>Step by step, result in a box</source>
      <translation>逐步推理，结果放入方框</translation>
    </message>
    <message>
      <source>Stop</source>
      <translation>停止</translation>
    </message>
    <message>
      <source>Stop answer</source>
      <translation>停止回答</translation>
    </message>
    <message>
      <source>Stopped</source>
      <translation>已停止</translation>
    </message>
    <message>
      <source>Stopped: the answer was repeating itself.</source>
      <translation>已停止：回答在重复。</translation>
    </message>
    <message>
      <source>System prompt</source>
      <translation>系统提示词</translation>
    </message>
    <message>
      <source>Table</source>
      <translation>表格</translation>
    </message>
    <message>
      <source>Table (CSV)</source>
      <translation>表格 (CSV)</translation>
    </message>
    <message>
      <source>Table: peak memory that must be free; the system shows more, because it also counts the mapped parts of the file. Plot: KV cache of one sequence.</source>
      <translation>表格：峰值时需要的空闲内存；系统显示的数值更大，因为还包括文件的映射部分。图：单个序列的 KV 缓存。</translation>
    </message>
    <message>
      <source>Target</source>
      <translation>目标引擎</translation>
    </message>
    <message>
      <source>Temperature</source>
      <translation>温度</translation>
    </message>
    <message>
      <source>Tensor {tensor} has the shape {shape}, but config.json says {wanted}.</source>
      <translation>张量 {tensor} 的形状为 {shape}，而 config.json 为 {wanted}。</translation>
    </message>
    <message>
      <source>Tensor {tensor} has the shape {shape}, but the scales of {key} must be floats of the shape {wanted}.</source>
      <translation>张量 {tensor} 的形状为 {shape}，而 {key} 的缩放必须是形状为 {wanted} 的浮点数。</translation>
    </message>
    <message>
      <source>Tensor {tensor} has the shape {shape}, but {wanted} was expected.</source>
      <translation>张量 {tensor} 的形状为 {shape}，应为 {wanted}。</translation>
    </message>
    <message>
      <source>Tensor {tensor} has the shape {shape}, which does not divide into {wanted} heads of even size.</source>
      <translation>张量 {tensor} 的形状为 {shape}，不能分成 {wanted} 个偶数大小的头。</translation>
    </message>
    <message>
      <source>Tensor {tensor} holds {count} values that are not finite, or too large to store.</source>
      <translation>张量 {tensor} 含有 {count} 个非有限或过大的数值。</translation>
    </message>
    <message>
      <source>Text size</source>
      <translation>文字大小</translation>
    </message>
    <message>
      <source>Texts</source>
      <translation>文本</translation>
    </message>
    <message>
      <source>The 671B mixture of experts behind R1. Too large for almost any single machine.</source>
      <translation>R1 所基于的 671B 混合专家模型。几乎任何单台机器都放不下。</translation>
    </message>
    <message>
      <source>The 671B teacher of the distills. Too large for almost any single machine.</source>
      <translation>蒸馏模型的 671B 教师模型。几乎任何单台机器都放不下。</translation>
    </message>
    <message>
      <source>The LM head is on {device} with the blocks.</source>
      <translation>LM 头与各层一起在 {device} 上。</translation>
    </message>
    <message>
      <source>The RPC server at {address} ended; its port may be in use.</source>
      <translation>{address} 上的 RPC 服务器已结束；其端口可能被占用。</translation>
    </message>
    <message>
      <source>The RPC server ended</source>
      <translation>RPC 服务器已结束</translation>
    </message>
    <message>
      <source>The SHA-256 of {file} is needed: give it with --sha256, or in a .sha256 file beside it.</source>
      <translation>需要 {file} 的 SHA-256：请用 --sha256 给出，或放在旁边的 .sha256 文件中。</translation>
    </message>
    <message>
      <source>The address usually ends in /v1.</source>
      <translation>地址通常以 /v1 结尾。</translation>
    </message>
    <message>
      <source>The address {host} can be reached from the network, and that was not confirmed.</source>
      <translation>地址 {host} 可从网络访问，而这尚未确认。</translation>
    </message>
    <message>
      <source>The answer ended after {value} of {minimum} tokens, so there is nothing to measure.</source>
      <translation>回答在 {value} 个词元后结束（应为 {minimum} 个），因此没有可测量的内容。</translation>
    </message>
    <message>
      <source>The answer ended at once, so there is nothing to measure.</source>
      <translation>回答立即结束，因此没有可测量的内容。</translation>
    </message>
    <message>
      <source>The body is not JSON.</source>
      <translation>请求正文不是 JSON。</translation>
    </message>
    <message>
      <source>The body must be JSON.</source>
      <translation>请求正文必须是 JSON。</translation>
    </message>
    <message>
      <source>The built-in starter: a small chat model that shows how everything works, without a download. It answers simple questions in English and is often wrong.</source>
      <translation>内置的入门模型：一个小型对话模型，无需下载即可体验整个流程。能用英语回答简单问题，但经常出错。</translation>
    </message>
    <message>
      <source>The cheaper result was kept: the costlier one gives values that are not numbers.</source>
      <translation>保留了较省时的结果：较费时的结果给出了非数值。</translation>
    </message>
    <message>
      <source>The cheaper result was kept: the costlier one raises the mean KL divergence from {cheaper} to {costlier}, by {difference} ({low} to {high}), measured over {tokens} tokens.</source>
      <translation>保留了较省时的结果：较费时的结果使平均 KL 散度从 {cheaper} 升到 {costlier}，升高 {difference}（{low} 到 {high}），在 {tokens} 个词元上测得。</translation>
    </message>
    <message>
      <source>The cheaper result was kept: {tokens} tokens are too few to compare the two.</source>
      <translation>保留了较省时的结果：{tokens} 个词元太少，无法比较两者。</translation>
    </message>
    <message>
      <source>The cheaper result was kept: {tokens} tokens show no gain of the costlier one. The mean KL divergence is {cheaper} and {costlier}, a difference of {difference} ({low} to {high}).</source>
      <translation>保留了较省时的结果：在 {tokens} 个词元上，较费时的结果没有显出优势。平均 KL 散度分别为 {cheaper} 和 {costlier}，相差 {difference}（{low} 到 {high}）。</translation>
    </message>
    <message>
      <source>The checkpoint may belong to another model.</source>
      <translation>该检查点可能属于另一个模型。</translation>
    </message>
    <message>
      <source>The closest at this size: a calibration text runs through it first.</source>
      <translation>同等大小中最接近原模型：先用校准文本运行一遍模型。</translation>
    </message>
    <message>
      <source>The closest of these to the original; takes longer to make.</source>
      <translation>这几种中最接近原模型，生成时间较长。</translation>
    </message>
    <message>
      <source>The cluster file {path} cannot be read{said}.</source>
      <translation>无法读取集群文件 {path}{said}。</translation>
    </message>
    <message>
      <source>The compute speed of an RPC server is not known; it is assumed to match this machine, so ranges are wide.</source>
      <translation>RPC 服务器的计算速度未知，因此按与本机相同估算，预测范围较宽。</translation>
    </message>
    <message>
      <source>The connection to the hub broke off.</source>
      <translation>与模型库的连接中断。</translation>
    </message>
    <message>
      <source>The conversation has {n_tokens} tokens, but the context holds only {n_ctx}.</source>
      <translation>对话有 {n_tokens} 个词元，而上下文最多容纳 {n_ctx} 个。</translation>
    </message>
    <message>
      <source>The conversion failed.</source>
      <translation>转换失败。</translation>
    </message>
    <message>
      <source>The costlier result was kept: it lowers the mean KL divergence from {cheaper} to {costlier}, by {difference} ({low} to {high}), measured over {tokens} tokens.</source>
      <translation>保留了较费时的结果：它使平均 KL 散度从 {cheaper} 降到 {costlier}，降低 {difference}（{low} 到 {high}），在 {tokens} 个词元上测得。</translation>
    </message>
    <message>
      <source>The costlier result was kept: the cheaper one gives values that are not numbers.</source>
      <translation>保留了较费时的结果：较省时的结果给出了非数值。</translation>
    </message>
    <message>
      <source>The device {device} cannot be used: {reason}{said}.</source>
      <translation>无法使用设备 {device}：{reason}{said}。</translation>
    </message>
    <message>
      <source>The download of {file} failed.</source>
      <translation>下载 {file} 失败。</translation>
    </message>
    <message>
      <source>The download of {file} stopped. {reason}</source>
      <translation>{file} 的下载已停止。{reason}</translation>
    </message>
    <message>
      <source>The engine cannot load {file}{said}.</source>
      <translation>引擎无法加载 {file}{said}。</translation>
    </message>
    <message>
      <source>The engine could not create a context for embeddings.</source>
      <translation>引擎无法创建用于嵌入的上下文。</translation>
    </message>
    <message>
      <source>The engine could not create a context for {file}{said}.</source>
      <translation>引擎无法为 {file} 创建上下文{said}。</translation>
    </message>
    <message>
      <source>The engine could not evaluate {tokens} tokens (code {code}).</source>
      <translation>引擎无法计算 {tokens} 个词元（代码 {code}）。</translation>
    </message>
    <message>
      <source>The engine crashed</source>
      <translation>引擎崩溃</translation>
    </message>
    <message>
      <source>The engine did not respond for {seconds} seconds and was stopped.</source>
      <translation>引擎 {seconds} 秒没有响应，已被停止。</translation>
    </message>
    <message>
      <source>The engine did not start</source>
      <translation>引擎未能启动</translation>
    </message>
    <message>
      <source>The engine does not match this processor</source>
      <translation>引擎与此处理器不匹配</translation>
    </message>
    <message>
      <source>The engine failed</source>
      <translation>引擎出错</translation>
    </message>
    <message>
      <source>The engine failed in its {stage} on {device}{said}.</source>
      <translation>引擎在 {device} 上的{stage}处失败{said}。</translation>
    </message>
    <message>
      <source>The engine process already holds a model.</source>
      <translation>引擎进程已载入一个模型。</translation>
    </message>
    <message>
      <source>The engine process crashed ({cause}).</source>
      <translation>引擎进程崩溃（{cause}）。</translation>
    </message>
    <message>
      <source>The engine process did not start: {reason}.</source>
      <translation>引擎进程未能启动：{reason}。</translation>
    </message>
    <message>
      <source>The engine process failed.</source>
      <translation>引擎进程失败。</translation>
    </message>
    <message>
      <source>The engine process hit an unexpected error{said}.</source>
      <translation>引擎进程遇到意外错误{said}。</translation>
    </message>
    <message>
      <source>The engine process ran out of memory ({cause}).</source>
      <translation>引擎进程内存耗尽（{cause}）。</translation>
    </message>
    <message>
      <source>The engine process uses protocol {got}, but this program expects {expected}.</source>
      <translation>引擎进程使用协议 {got}，而本程序需要 {expected}。</translation>
    </message>
    <message>
      <source>The engine process was closed.</source>
      <translation>引擎进程已关闭。</translation>
    </message>
    <message>
      <source>The engine process was stopped on request.</source>
      <translation>引擎进程已按要求停止。</translation>
    </message>
    <message>
      <source>The engine process wrote output Stillroom could not read, so it was stopped.</source>
      <translation>引擎进程输出了 Stillroom 无法读取的内容，因此已被停止。</translation>
    </message>
    <message>
      <source>The engine ran out of memory on {device}.</source>
      <translation>引擎在 {device} 上内存耗尽。</translation>
    </message>
    <message>
      <source>The engine reported an error.</source>
      <translation>引擎报告了错误。</translation>
    </message>
    <message>
      <source>The engine reported “{name}”{said}.</source>
      <translation>引擎报告了“{name}”{said}。</translation>
    </message>
    <message>
      <source>The engine sent a garbled reply</source>
      <translation>引擎的回复无法识别</translation>
    </message>
    <message>
      <source>The engine stopped responding</source>
      <translation>引擎停止响应</translation>
    </message>
    <message>
      <source>The engine used an instruction this processor does not have ({cause}).</source>
      <translation>引擎使用了此处理器没有的指令（{cause}）。</translation>
    </message>
    <message>
      <source>The engine was closed</source>
      <translation>引擎已关闭</translation>
    </message>
    <message>
      <source>The engine was killed</source>
      <translation>引擎进程被终止</translation>
    </message>
    <message>
      <source>The engine {backend} cannot be used: {reason}{said}.</source>
      <translation>无法使用引擎 {backend}：{reason}{said}。</translation>
    </message>
    <message>
      <source>The error “{name}” is not known to this version of Stillroom{said}.</source>
      <translation>此版本的 Stillroom 不认识错误“{name}”{said}。</translation>
    </message>
    <message>
      <source>The evaluation failed</source>
      <translation>评测失败</translation>
    </message>
    <message>
      <source>The fastest of the placements that fit ({decode_tps} predicted).</source>
      <translation>放得下的方案中最快的（预测 {decode_tps}）。</translation>
    </message>
    <message>
      <source>The file</source>
      <translation>该文件</translation>
    </message>
    <message>
      <source>The file cannot be used</source>
      <translation>文件不可用</translation>
    </message>
    <message>
      <source>The file has no chat template, so a generic one was used.</source>
      <translation>文件没有聊天模板，已使用通用模板。</translation>
    </message>
    <message>
      <source>The file may be damaged; try another build of the model.</source>
      <translation>文件可能损坏；请试试该模型的其他版本。</translation>
    </message>
    <message>
      <source>The first DeepSeek chat model, with full multi-head attention: its KV cache is large for its size.</source>
      <translation>最早的 DeepSeek 对话模型，采用完整的多头注意力：相对其规模，KV 缓存较大。</translation>
    </message>
    <message>
      <source>The harness ended without writing any results.</source>
      <translation>评测程序结束时没有写出任何结果。</translation>
    </message>
    <message>
      <source>The harness exited with code {exit_code}{said}.</source>
      <translation>评测程序以代码 {exit_code} 退出{said}。</translation>
    </message>
    <message>
      <source>The history file is damaged; the next start repairs it from a backup</source>
      <translation>历史记录文件已损坏；下次启动时会用备份修复</translation>
    </message>
    <message>
      <source>The history file {path} cannot be used{said}.</source>
      <translation>无法使用历史文件 {path}{said}。</translation>
    </message>
    <message>
      <source>The history file {path} was written by a newer version of Stillroom.</source>
      <translation>历史文件 {path} 由更新版本的 Stillroom 写入。</translation>
    </message>
    <message>
      <source>The history was damaged and has been repaired</source>
      <translation>历史记录曾损坏，已经修复</translation>
    </message>
    <message>
      <source>The hub accepted this token; it belongs to {0}.</source>
      <translation>模型库接受了此令牌，它属于 {0}。</translation>
    </message>
    <message>
      <source>The hub answered with status {status}.</source>
      <translation>模型库返回状态 {status}。</translation>
    </message>
    <message>
      <source>The hub asked to wait but did not say how long.</source>
      <translation>模型库要求等待，但没有说明多久。</translation>
    </message>
    <message>
      <source>The hub asked to wait {retry_after:.0f} seconds.</source>
      <translation>模型库要求等待 {retry_after:.0f} 秒。</translation>
    </message>
    <message>
      <source>The hub cannot be reached.</source>
      <translation>无法连接模型库。</translation>
    </message>
    <message>
      <source>The hub could not prove its identity: its certificate was not accepted.</source>
      <translation>模型库无法证明身份：证书未被接受。</translation>
    </message>
    <message>
      <source>The hub did not answer in time.</source>
      <translation>模型库没有及时回答。</translation>
    </message>
    <message>
      <source>The hub has no repository {repo}, or it is private.</source>
      <translation>模型库没有仓库 {repo}，或它是私有的。</translation>
    </message>
    <message>
      <source>The hub refused the connection.</source>
      <translation>模型库拒绝了连接。</translation>
    </message>
    <message>
      <source>The hub refused the token.</source>
      <translation>模型库拒绝了令牌。</translation>
    </message>
    <message>
      <source>The hub request failed.</source>
      <translation>对模型库的请求失败。</translation>
    </message>
    <message>
      <source>The hub's address was not found.</source>
      <translation>找不到模型库的地址。</translation>
    </message>
    <message>
      <source>The importance of tensor {tensor} has the shape {shape}, but {wanted} was expected.</source>
      <translation>张量 {tensor} 的重要性形状为 {shape}，应为 {wanted}。</translation>
    </message>
    <message>
      <source>The interpreter {python} has no lm-eval.</source>
      <translation>解释器 {python} 没有 lm-eval。</translation>
    </message>
    <message>
      <source>The key is missing or wrong; `stillroom serve` shows it.</source>
      <translation>缺少密钥或密钥有误；`stillroom serve` 会显示它。</translation>
    </message>
    <message>
      <source>The large first-generation DeepSeek chat model, with grouped-query attention.</source>
      <translation>第一代 DeepSeek 对话模型的大型版本，采用分组查询注意力。</translation>
    </message>
    <message>
      <source>The largest DeepSeek-R1 distill that answers at reading speed or faster on this machine.</source>
      <translation>本机上回答速度不低于阅读速度的最大 DeepSeek-R1 蒸馏模型。</translation>
    </message>
    <message>
      <source>The largest distill on the Qwen base, for large GPUs and workstations.</source>
      <translation>基于 Qwen 的最大蒸馏模型，适合大显存 GPU 和工作站。</translation>
    </message>
    <message>
      <source>The largest distill, for servers and workstations.</source>
      <translation>最大的蒸馏模型，适合服务器和工作站。</translation>
    </message>
    <message>
      <source>The list of remote models in {path} cannot be read{said}.</source>
      <translation>无法读取 {path} 中的远程模型列表{said}。</translation>
    </message>
    <message>
      <source>The log has the details (`stillroom doctor` says where).</source>
      <translation>详情见日志（`stillroom doctor` 会说明位置）。</translation>
    </message>
    <message>
      <source>The logs are in {0}</source>
      <translation>日志位于 {0}</translation>
    </message>
    <message>
      <source>The machine was busy or its readings varied during the measurement, so ranges are wider.</source>
      <translation>测量时机器繁忙或读数不稳定，因此预测范围更宽。</translation>
    </message>
    <message>
      <source>The manifest {path} belongs to a model of another name.</source>
      <translation>清单 {path} 属于另一个名称的模型。</translation>
    </message>
    <message>
      <source>The manifest {path} is invalid{said}.</source>
      <translation>清单 {path} 无效{said}。</translation>
    </message>
    <message>
      <source>The model also works without a draft model.</source>
      <translation>不使用草稿模型也能运行。</translation>
    </message>
    <message>
      <source>The model catalog {file} cannot be read{said}.</source>
      <translation>无法读取模型目录 {file}{said}。</translation>
    </message>
    <message>
      <source>The model catalog {file} is invalid: entry “{entry}”, field {field}: {reason}{said}.</source>
      <translation>模型目录 {file} 无效：条目“{entry}”，字段{field}：{reason}{said}。</translation>
    </message>
    <message>
      <source>The model catalog {file} is not valid JSON{said}.</source>
      <translation>模型目录 {file} 不是有效的 JSON{said}。</translation>
    </message>
    <message>
      <source>The model graph was compiled for a fixed context length.</source>
      <translation>模型的计算图按固定的上下文长度编译。</translation>
    </message>
    <message>
      <source>The model selected when the window opens.</source>
      <translation>窗口打开时选择的模型。</translation>
    </message>
    <message>
      <source>The model's chat template failed: {reason}{said}.</source>
      <translation>模型的对话模板失败：{reason}{said}。</translation>
    </message>
    <message>
      <source>The model's tokenizer could not read a text of {length} characters.</source>
      <translation>模型的分词器无法处理一段 {length} 个字符的文本。</translation>
    </message>
    <message>
      <source>The models folder has a problem.</source>
      <translation>模型文件夹有问题。</translation>
    </message>
    <message>
      <source>The models have different vocabularies ({shape}).</source>
      <translation>两个模型的词表不同（{shape}）。</translation>
    </message>
    <message>
      <source>The new measurement was unreliable and was discarded</source>
      <translation>新的测量结果不可靠，已丢弃</translation>
    </message>
    <message>
      <source>The next answer will be faster.</source>
      <translation>下一个回答会更快。</translation>
    </message>
    <message>
      <source>The only placement that fits.</source>
      <translation>唯一放得下的方案。</translation>
    </message>
    <message>
      <source>The operating system or another program killed the engine process ({cause}).</source>
      <translation>操作系统或其他程序终止了引擎进程（{cause}）。</translation>
    </message>
    <message>
      <source>The operating system reported an error</source>
      <translation>操作系统报告了错误</translation>
    </message>
    <message>
      <source>The operating system reported an error{said}.</source>
      <translation>操作系统报告了错误{said}。</translation>
    </message>
    <message>
      <source>The operation was cancelled; nothing was left behind.</source>
      <translation>操作已取消，没有留下残余。</translation>
    </message>
    <message>
      <source>The owner grants access on request. Accept the terms on the model page, then enter a token.</source>
      <translation>需向所有者申请访问权限：先在模型网页上同意条款，再输入令牌。</translation>
    </message>
    <message>
      <source>The pack was refused: {path} would be written outside its folder.</source>
      <translation>已拒绝该附加包：{path} 会写到其文件夹之外。</translation>
    </message>
    <message>
      <source>The package {package} {version} could not be downloaded.</source>
      <translation>无法下载软件包 {package} {version}。</translation>
    </message>
    <message>
      <source>The part that arrived is shown; ask again for the full answer.</source>
      <translation>已收到的部分已显示；再问一次可得到完整回答。</translation>
    </message>
    <message>
      <source>The plan has changed since the model was loaded</source>
      <translation>模型加载之后方案已改变</translation>
    </message>
    <message>
      <source>The planned device failed. The model now runs on another one; the plan shows which and why.</source>
      <translation>计划使用的设备出错。模型现在在另一设备上运行；方案中说明了是哪个设备以及原因。</translation>
    </message>
    <message>
      <source>The quantizer failed: {reason}{said}.</source>
      <translation>量化失败：{reason}{said}。</translation>
    </message>
    <message>
      <source>The readings vary a lot; measure again when the machine is idle.</source>
      <translation>各次读数相差很大；请在电脑空闲时重新测量。</translation>
    </message>
    <message>
      <source>The reasoning had no opening tag, so it was moved out of the answer.</source>
      <translation>思考内容没有开始标签，已从回答中移出。</translation>
    </message>
    <message>
      <source>The recipe has the unknown field {field}; the known ones are {choices}.</source>
      <translation>配方中有未知字段{field}；已知字段：{choices}。</translation>
    </message>
    <message>
      <source>The recipe {value} is for ONNX.</source>
      <translation>配方 {value} 用于 ONNX。</translation>
    </message>
    <message>
      <source>The recipe {value} is not a JSON object.</source>
      <translation>配方 {value} 不是 JSON 对象。</translation>
    </message>
    <message>
      <source>The recipe {value} needs an importance matrix.</source>
      <translation>配方 {value} 需要重要性矩阵。</translation>
    </message>
    <message>
      <source>The recipe's {field} is invalid: {reason}{said}.</source>
      <translation>配方的{field}无效：{reason}{said}。</translation>
    </message>
    <message>
      <source>The remote model failed</source>
      <translation>远程模型出错</translation>
    </message>
    <message>
      <source>The request cannot be read: {detail}.</source>
      <translation>无法读取请求：{detail}。</translation>
    </message>
    <message>
      <source>The request failed.</source>
      <translation>请求失败。</translation>
    </message>
    <message>
      <source>The request took too long to arrive.</source>
      <translation>请求传输时间过长。</translation>
    </message>
    <message>
      <source>The second generation of distills: thinks longer and solves more than its size suggests.</source>
      <translation>第二代蒸馏模型：思考更久，解题能力超出其规模。</translation>
    </message>
    <message>
      <source>The server cannot listen at {host}, port {port}{said}.</source>
      <translation>服务器无法监听 {host} 的端口 {port}{said}。</translation>
    </message>
    <message>
      <source>The server does not offer that model. It offers {0}.</source>
      <translation>服务器没有该模型，它提供：{0}。</translation>
    </message>
    <message>
      <source>The server of {name} at {url} did not reply like an OpenAI-compatible API: {reason}.</source>
      <translation>{url} 上 {name} 的服务器没有按照与 OpenAI 兼容的 API 回复：{reason}。</translation>
    </message>
    <message>
      <source>The server offers {0}.</source>
      <translation>服务器提供：{0}。</translation>
    </message>
    <message>
      <source>The server offers {0}. Enter one of them.</source>
      <translation>服务器提供：{0}。请填写其中一个。</translation>
    </message>
    <message>
      <source>The server sent an unexpected response for {file}: {reason}.</source>
      <translation>服务器对 {file} 的回应不符合预期：{reason}。</translation>
    </message>
    <message>
      <source>The server sent no token count, so the chunks it sent were counted instead.</source>
      <translation>服务器没有给出词元数，因此改为统计它发送的数据块数。</translation>
    </message>
    <message>
      <source>The setting “Stay offline” is on, so no request was made.</source>
      <translation>“保持离线”设置已开启，因此没有发出请求。</translation>
    </message>
    <message>
      <source>The setting “{key}” must be a whole number, not “{value}”.</source>
      <translation>设置“{key}”必须为整数，不能是“{value}”。</translation>
    </message>
    <message>
      <source>The setting “{key}” must be between {minimum} and {maximum}, not {value}.</source>
      <translation>设置“{key}”必须在 {minimum} 与 {maximum} 之间，不能是 {value}。</translation>
    </message>
    <message>
      <source>The setting “{key}” must be on or off, not “{value}”.</source>
      <translation>设置“{key}”必须为开或关，不能是“{value}”。</translation>
    </message>
    <message>
      <source>The setting “{key}” must be one of {choices}, not “{value}”.</source>
      <translation>设置“{key}”必须为 {choices} 之一，不能是“{value}”。</translation>
    </message>
    <message>
      <source>The setting “{key}” must be text, not “{value}”.</source>
      <translation>设置“{key}”必须为文本，不能是“{value}”。</translation>
    </message>
    <message>
      <source>The settings could not be saved to {path}{said}.</source>
      <translation>无法将设置保存到 {path}{said}。</translation>
    </message>
    <message>
      <source>The settings in {path} are not a JSON object; the defaults are used.</source>
      <translation>{path} 中的设置不是 JSON 对象；将使用默认值。</translation>
    </message>
    <message>
      <source>The settings in {path} cannot be read{said}; the defaults are used.</source>
      <translation>无法读取 {path} 中的设置{said}；将使用默认值。</translation>
    </message>
    <message>
      <source>The smallest DeepSeek-R1 distill, until this machine has been measured.</source>
      <translation>最小的 DeepSeek-R1 蒸馏模型；测量本机后会给出更合适的推荐。</translation>
    </message>
    <message>
      <source>The smallest DeepSeek-R1 distill: larger ones answer more slowly than one reads.</source>
      <translation>最小的 DeepSeek-R1 蒸馏模型：更大的模型回答速度慢于阅读速度。</translation>
    </message>
    <message>
      <source>The smallest distill: mathematics and short reasoning on almost any machine.</source>
      <translation>最小的蒸馏模型：几乎任何电脑都能运行，适合数学和简短推理。</translation>
    </message>
    <message>
      <source>The starter model is only a demo. The Models page shows what fits this machine and how fast it will be, before you download it.</source>
      <translation>入门模型只作演示。“模型”页在下载之前就能显示哪些模型放得下、速度如何。</translation>
    </message>
    <message>
      <source>The system prompt was put into the first message, because this model does not support one.</source>
      <translation>此模型不支持系统提示词，因此已把它放进第一条消息。</translation>
    </message>
    <message>
      <source>The texts are too short to score.</source>
      <translation>文本太短，无法评分。</translation>
    </message>
    <message>
      <source>The thinking was cut off: the token budget ran out before the answer.</source>
      <translation>思考被截断：词元预算在回答之前就用完了。</translation>
    </message>
    <message>
      <source>The tokenizer has no room for {tokens} tokens.</source>
      <translation>分词器容纳不下 {tokens} 个词元。</translation>
    </message>
    <message>
      <source>The usable devices are {known}.</source>
      <translation>可用的设备有 {known}。</translation>
    </message>
    <message>
      <source>The {field} cannot be used: {reason}{said}.</source>
      <translation>无法使用{field}：{reason}{said}。</translation>
    </message>
    <message>
      <source>Theme</source>
      <translation>主题</translation>
    </message>
    <message>
      <source>There is no conversation {name}.</source>
      <translation>没有名为 {name} 的对话。</translation>
    </message>
    <message>
      <source>There is no conversation {value}.</source>
      <translation>没有对话 {value}。</translation>
    </message>
    <message>
      <source>There is no engine named “{backend}”.</source>
      <translation>没有名为“{backend}”的引擎。</translation>
    </message>
    <message>
      <source>There is no file or folder {path}.</source>
      <translation>没有文件或文件夹 {path}。</translation>
    </message>
    <message>
      <source>There is no file {path}.</source>
      <translation>没有文件 {path}。</translation>
    </message>
    <message>
      <source>There is no folder {path} to write to.</source>
      <translation>没有可以写入的文件夹 {path}。</translation>
    </message>
    <message>
      <source>There is no message {value}.</source>
      <translation>没有消息 {value}。</translation>
    </message>
    <message>
      <source>There is no model named “{name}”.</source>
      <translation>没有名为“{name}”的模型。</translation>
    </message>
    <message>
      <source>There is no setting “{key}”.</source>
      <translation>没有名为“{key}”的设置。</translation>
    </message>
    <message>
      <source>There is nothing at this address: {detail}.</source>
      <translation>此地址没有内容：{detail}。</translation>
    </message>
    <message>
      <source>There is only one answer.</source>
      <translation>只有一个回答。</translation>
    </message>
    <message>
      <source>Thinking</source>
      <translation>思考</translation>
    </message>
    <message>
      <source>Thinking, full text</source>
      <translation>思考全文</translation>
    </message>
    <message>
      <source>This conversation</source>
      <translation>本次对话</translation>
    </message>
    <message>
      <source>This is a bug in Stillroom; the log has the details.</source>
      <translation>这是 Stillroom 的缺陷；详情见日志。</translation>
    </message>
    <message>
      <source>This is a demo model with 135 million parameters and is often wrong. `stillroom search` lists distilled models for real work.</source>
      <translation>这是 1.35 亿参数的演示模型，经常出错。`stillroom search` 会列出可实际使用的蒸馏模型。</translation>
    </message>
    <message>
      <source>This is not an access token.</source>
      <translation>这不是访问令牌。</translation>
    </message>
    <message>
      <source>This machine has no network connection.</source>
      <translation>本机没有网络连接。</translation>
    </message>
    <message>
      <source>This model is already quantized ({0}). Quantizing it again adds to what that lost; start from the full-precision weights if you can.</source>
      <translation>这个模型已经量化（{0}）。再次量化会加大已有的损失；请尽量从全精度权重开始。</translation>
    </message>
    <message>
      <source>This needs {needed} on {device}, but only {available} is free.</source>
      <translation>需要 {device} 上的 {needed}，但可用的只有 {available}。</translation>
    </message>
    <message>
      <source>This server does not accept requests under that name.</source>
      <translation>本服务器不使用该主机名。</translation>
    </message>
    <message>
      <source>This text is too short to tell whether {first} or {second} is closer to {source}.</source>
      <translation>这份文本太短，无法判断 {first} 和 {second} 哪个更接近 {source}。</translation>
    </message>
    <message>
      <source>Thought</source>
      <translation>已思考</translation>
    </message>
    <message>
      <source>Threads</source>
      <translation>线程</translation>
    </message>
    <message>
      <source>Threads an engine may use; 0 lets the plan decide.</source>
      <translation>引擎可用的线程数；0 表示由方案决定。</translation>
    </message>
    <message>
      <source>Threads: {0}</source>
      <translation>线程：{0}</translation>
    </message>
    <message>
      <source>Time ran out after {0} of {1} positions.</source>
      <translation>时间用尽，只测了 {1} 个位置中的 {0} 个。</translation>
    </message>
    <message>
      <source>Time to first token</source>
      <translation>首词元延迟</translation>
    </message>
    <message>
      <source>Time: engine {0}, sampling {1}, Stillroom itself {2}</source>
      <translation>时间：引擎 {0}，采样 {1}，Stillroom 自身 {2}</translation>
    </message>
    <message>
      <source>Title</source>
      <translation>标题</translation>
    </message>
    <message>
      <source>Today</source>
      <translation>今天</translation>
    </message>
    <message>
      <source>Token refused</source>
      <translation>令牌被拒绝</translation>
    </message>
    <message>
      <source>Tokens of context to plan for; 0 lets the plan decide.</source>
      <translation>规划的上下文词元数；0 表示由方案决定。</translation>
    </message>
    <message>
      <source>Too many requests</source>
      <translation>请求过多</translation>
    </message>
    <message>
      <source>Too many requests are waiting; try again in {retry_after:.0f} s.</source>
      <translation>等待的请求过多；请在 {retry_after:.0f} 秒后重试。</translation>
    </message>
    <message>
      <source>Tools and a response format exclude each other.</source>
      <translation>工具与响应格式不能同时使用。</translation>
    </message>
    <message>
      <source>Top k</source>
      <translation>Top k</translation>
    </message>
    <message>
      <source>Top p</source>
      <translation>Top p</translation>
    </message>
    <message>
      <source>Topics</source>
      <translation>主题</translation>
    </message>
    <message>
      <source>Tour seen</source>
      <translation>已看过导览</translation>
    </message>
    <message>
      <source>Trash and clean up</source>
      <translation>回收站与清理</translation>
    </message>
    <message>
      <source>Trash and clean up…</source>
      <translation>回收站与清理…</translation>
    </message>
    <message>
      <source>Trending</source>
      <translation>热门</translation>
    </message>
    <message>
      <source>Try again later.</source>
      <translation>请稍后重试。</translation>
    </message>
    <message>
      <source>Try again then.</source>
      <translation>请届时重试。</translation>
    </message>
    <message>
      <source>Try again when it has finished.</source>
      <translation>请等它完成后重试。</translation>
    </message>
    <message>
      <source>Try again with a smaller context; the log has the engine's own words.</source>
      <translation>请用更小的上下文重试；日志中有引擎的原话。</translation>
    </message>
    <message>
      <source>Try again.</source>
      <translation>请重试。</translation>
    </message>
    <message>
      <source>Try again; downloads resume where they stopped.</source>
      <translation>请重试：下载会从中断处继续。</translation>
    </message>
    <message>
      <source>Try again; if it happens again, the source is damaged.</source>
      <translation>请重试；如果再次发生，说明来源已损坏。</translation>
    </message>
    <message>
      <source>Try again; installed models work without a network.</source>
      <translation>请重试；已安装的模型无需网络即可使用。</translation>
    </message>
    <message>
      <source>Try another engine or device.</source>
      <translation>请试试其他引擎或设备。</translation>
    </message>
    <message>
      <source>Try later.</source>
      <translation>请稍后再试。</translation>
    </message>
    <message>
      <source>Turn it off in the settings to search or download.</source>
      <translation>要搜索或下载，请在设置中关闭它。</translation>
    </message>
    <message>
      <source>Two parts of Stillroom disagree about {field} of the job “{job}”{said}.</source>
      <translation>Stillroom 的两个部分对任务“{job}”的{field}理解不一致{said}。</translation>
    </message>
    <message>
      <source>Type</source>
      <translation>类型</translation>
    </message>
    <message>
      <source>Type here and press Enter. It stays on this machine: no account, no network.</source>
      <translation>在这里输入，按回车键。内容只留在这台电脑上：无需账号，无需网络。</translation>
    </message>
    <message>
      <source>Type what you want to do</source>
      <translation>输入想做的事</translation>
    </message>
    <message>
      <source>Typical R1 answer</source>
      <translation>典型的 R1 回答</translation>
    </message>
    <message>
      <source>Under a minute, with more formats and sizes</source>
      <translation>不到一分钟，测量更多格式和大小</translation>
    </message>
    <message>
      <source>Understand the numbers</source>
      <translation>看懂数字</translation>
    </message>
    <message>
      <source>Undo</source>
      <translation>撤销</translation>
    </message>
    <message>
      <source>Unexpected tensor</source>
      <translation>意外的张量</translation>
    </message>
    <message>
      <source>Unfinished download</source>
      <translation>未完成的下载</translation>
    </message>
    <message>
      <source>Unknown model</source>
      <translation>未知模型</translation>
    </message>
    <message>
      <source>Unload</source>
      <translation>卸载</translation>
    </message>
    <message>
      <source>Unpin</source>
      <translation>取消置顶</translation>
    </message>
    <message>
      <source>Unreadable header</source>
      <translation>文件头无法读取</translation>
    </message>
    <message>
      <source>Unsafe address</source>
      <translation>不安全的地址</translation>
    </message>
    <message>
      <source>Unsupported file</source>
      <translation>不支持的文件</translation>
    </message>
    <message>
      <source>Unsupported format</source>
      <translation>不支持的格式</translation>
    </message>
    <message>
      <source>Unsupported model</source>
      <translation>不支持的模型</translation>
    </message>
    <message>
      <source>Untitled</source>
      <translation>无标题</translation>
    </message>
    <message>
      <source>Unusable recipe</source>
      <translation>量化方案不可用</translation>
    </message>
    <message>
      <source>Unverified: the hub provides no checksum for this download.</source>
      <translation>未校验：模型库没有提供此下载的校验和。</translation>
    </message>
    <message>
      <source>Up to {0} B parameters</source>
      <translation>不超过 {0} B 参数</translation>
    </message>
    <message>
      <source>Update address</source>
      <translation>更新地址</translation>
    </message>
    <message>
      <source>Use a GGUF file or a safetensors folder.</source>
      <translation>请使用 GGUF 文件或 safetensors 文件夹。</translation>
    </message>
    <message>
      <source>Use models on OpenAI-compatible servers elsewhere. Not offline: what you write to one is sent to its address.</source>
      <translation>使用其他机器上 OpenAI 兼容服务器的模型。非离线：你写给它的内容会发送到它的地址。</translation>
    </message>
    <message>
      <source>Use recommended values</source>
      <translation>使用推荐值</translation>
    </message>
    <message>
      <source>Using the build {build}, which is damaged: some of its predictions are not numbers. Quantize or download it again.</source>
      <translation>使用构建 {build}，但它已损坏：部分预测结果不是数值。请重新量化或重新下载。</translation>
    </message>
    <message>
      <source>Using the build {build}.</source>
      <translation>使用构建 {build}。</translation>
    </message>
    <message>
      <source>Using the build {build}. Its quality loss has not been measured; `stillroom quality {build} --against {source}` measures it.</source>
      <translation>使用构建 {build}。其质量损失尚未测量，可用 `stillroom quality {build} --against {source}` 测量。</translation>
    </message>
    <message>
      <source>Using the build {build}; its mean KL divergence from {against} is {kl_mean}.</source>
      <translation>使用构建 {build}；与 {against} 的平均 KL 散度为 {kl_mean}。</translation>
    </message>
    <message>
      <source>Variant</source>
      <translation>量化版本</translation>
    </message>
    <message>
      <source>Variants</source>
      <translation>量化版本</translation>
    </message>
    <message>
      <source>Verified: all files are exactly as installed.</source>
      <translation>校验通过：所有文件与安装时完全一致。</translation>
    </message>
    <message>
      <source>Verify</source>
      <translation>校验</translation>
    </message>
    <message>
      <source>Version mismatch</source>
      <translation>版本不一致</translation>
    </message>
    <message>
      <source>Version {0} is available.</source>
      <translation>有新版本 {0} 可用。</translation>
    </message>
    <message>
      <source>Waiting for the network</source>
      <translation>等待网络</translation>
    </message>
    <message>
      <source>What determines this speed</source>
      <translation>速度由什么决定</translation>
    </message>
    <message>
      <source>What is the capital of France? Answer in one sentence.</source>
      <translation>法国的首都是哪里？用一句话回答。</translation>
    </message>
    <message>
      <source>What would fit: the smaller model {model}.</source>
      <translation>放得下的方案：较小的模型 {model}。</translation>
    </message>
    <message>
      <source>What would fit: {suggestion}.</source>
      <translation>放得下的方案：{suggestion}。</translation>
    </message>
    <message>
      <source>What would fit: {suggestion}; or the smaller model {model}.</source>
      <translation>放得下的方案：{suggestion}；或者较小的模型 {model}。</translation>
    </message>
    <message>
      <source>What would you like to ask?</source>
      <translation>想问点什么？</translation>
    </message>
    <message>
      <source>When</source>
      <translation>时间</translation>
    </message>
    <message>
      <source>Where models are stored. Leave empty for the default folder.</source>
      <translation>模型存放的位置。留空则使用默认文件夹。</translation>
    </message>
    <message>
      <source>Where the LM head is placed when a model is loaded.</source>
      <translation>加载模型时 LM 头放在哪里。</translation>
    </message>
    <message>
      <source>Whether the panel with the model and its plan is shown.</source>
      <translation>是否显示模型与方案的侧栏。</translation>
    </message>
    <message>
      <source>Whether the tour of the first start has been shown.</source>
      <translation>首次启动的导览是否已显示。</translation>
    </message>
    <message>
      <source>Which engine to use when several can run a model.</source>
      <translation>多个引擎都能运行时用哪一个。</translation>
    </message>
    <message>
      <source>Which format of a model to download or make: balanced loses no more than the usual 4-bit format, fast gives up some quality for speed, faithful keeps the most quality at a comfortable speed.</source>
      <translation>下载或制作模型的哪种格式：均衡的损失不超过通用的 4 位格式，快速以部分质量换取速度，忠实在速度舒适的前提下保留最多质量。</translation>
    </message>
    <message>
      <source>Why this speed</source>
      <translation>速度由什么决定</translation>
    </message>
    <message>
      <source>Why?</source>
      <translation>为什么？</translation>
    </message>
    <message>
      <source>Window</source>
      <translation>窗口</translation>
    </message>
    <message>
      <source>Window language. Takes effect after a restart.</source>
      <translation>窗口语言，重启后生效。</translation>
    </message>
    <message>
      <source>With more context</source>
      <translation>上下文增长后</translation>
    </message>
    <message>
      <source>Work in progress</source>
      <translation>进行中的工作</translation>
    </message>
    <message>
      <source>Working out the plan…</source>
      <translation>正在计算方案…</translation>
    </message>
    <message>
      <source>Working set</source>
      <translation>工作集</translation>
    </message>
    <message>
      <source>Working…</source>
      <translation>处理中…</translation>
    </message>
    <message>
      <source>Write a short story about a lighthouse keeper.</source>
      <translation>写一个关于灯塔看守人的短故事。</translation>
    </message>
    <message>
      <source>Yesterday</source>
      <translation>昨天</translation>
    </message>
    <message>
      <source>You</source>
      <translation>你</translation>
    </message>
    <message>
      <source>You have the latest version.</source>
      <translation>已是最新版本。</translation>
    </message>
    <message>
      <source>Your conversation is safe; send again to continue.</source>
      <translation>对话已保存；再次发送即可继续。</translation>
    </message>
    <message>
      <source>Your conversation is safe; send again to continue. If it happens again, try another engine or a smaller context.</source>
      <translation>对话已保存；再次发送即可继续。如果再次发生，请尝试其他引擎或更小的上下文。</translation>
    </message>
    <message>
      <source>`stillroom devices` lists the usable devices.</source>
      <translation>`stillroom devices` 列出可用的设备。</translation>
    </message>
    <message>
      <source>`stillroom doctor` says what is missing.</source>
      <translation>`stillroom doctor` 会说明缺什么。</translation>
    </message>
    <message>
      <source>`stillroom export` lists the conversations.</source>
      <translation>`stillroom export` 会列出所有对话。</translation>
    </message>
    <message>
      <source>`stillroom packs` lists what is installed.</source>
      <translation>`stillroom packs` 列出已安装的内容。</translation>
    </message>
    <message>
      <source>`stillroom search` lists the available models.</source>
      <translation>`stillroom search` 列出所有可选的模型。</translation>
    </message>
    <message>
      <source>a CPU quota throttled the engine</source>
      <translation>CPU 配额限制了引擎</translation>
    </message>
    <message>
      <source>a context of {n_ctx} tokens</source>
      <translation>{n_ctx} 个词元的上下文</translation>
    </message>
    <message>
      <source>a key of its header is missing or wrong</source>
      <translation>文件头中的某个键缺失或有误</translation>
    </message>
    <message>
      <source>a list of alternatives must have 1 to {maximum} entries</source>
      <translation>备选列表须有 1 到 {maximum} 项</translation>
    </message>
    <message>
      <source>a reference must point into the same schema</source>
      <translation>引用必须指向同一模式</translation>
    </message>
    <message>
      <source>a smaller model</source>
      <translation>更小的模型</translation>
    </message>
    <message>
      <source>a tensor appears twice</source>
      <translation>某个张量出现了两次</translation>
    </message>
    <message>
      <source>a tensor belongs to a block past the {found} that there are</source>
      <translation>某个张量所属的层超出了已有的 {found} 层</translation>
    </message>
    <message>
      <source>a tensor ends at byte {found}, but the file has {wanted}</source>
      <translation>某个张量在第 {found} 字节结束，而文件只有 {wanted}</translation>
    </message>
    <message>
      <source>a tensor has an impossible shape or place ({found})</source>
      <translation>某个张量的形状或位置不可能（{found}）</translation>
    </message>
    <message>
      <source>a tensor has factors that are not above zero</source>
      <translation>某个张量的系数不大于零</translation>
    </message>
    <message>
      <source>a tensor has rows of {found} values, not a multiple of the block of {wanted}</source>
      <translation>某个张量每行有 {found} 个值，不是块大小 {wanted} 的倍数</translation>
    </message>
    <message>
      <source>a tensor has the impossible dimensions {found}</source>
      <translation>某个张量的维度 {found} 不可能</translation>
    </message>
    <message>
      <source>a tensor has the unknown type {found}</source>
      <translation>某个张量的类型 {found} 未知</translation>
    </message>
    <message>
      <source>a tensor has {found} dimensions</source>
      <translation>某个张量有 {found} 个维度</translation>
    </message>
    <message>
      <source>a tensor is in two parts of the model</source>
      <translation>某个张量出现在模型的两个分卷中</translation>
    </message>
    <message>
      <source>a tensor is larger than the file, which has {found} bytes</source>
      <translation>某个张量比文件还大，文件只有 {found} 字节</translation>
    </message>
    <message>
      <source>a tensor of the importance matrix has impossible sums</source>
      <translation>重要性矩阵的某个张量有不可能的总和</translation>
    </message>
    <message>
      <source>a tensor of the importance matrix has no matching counts</source>
      <translation>重要性矩阵的某个张量没有对应的计数</translation>
    </message>
    <message>
      <source>a tensor overlaps {key}</source>
      <translation>某个张量与 {key} 重叠</translation>
    </message>
    <message>
      <source>a tensor takes {found} bytes, but its shape needs {wanted}</source>
      <translation>某个张量占 {found} 字节，而其形状需要 {wanted}</translation>
    </message>
    <message>
      <source>a {kv_type} KV cache</source>
      <translation>{kv_type} KV 缓存</translation>
    </message>
    <message>
      <source>about {0} more</source>
      <translation>另需约 {0}</translation>
    </message>
    <message>
      <source>about {0} tokens</source>
      <translation>约 {0} 词元</translation>
    </message>
    <message>
      <source>all blocks must be on one device</source>
      <translation>所有层必须在同一设备上</translation>
    </message>
    <message>
      <source>an ONNX folder does not describe itself</source>
      <translation>ONNX 文件夹没有自带描述</translation>
    </message>
    <message>
      <source>another entry has the same ID</source>
      <translation>另一个条目有相同的 ID</translation>
    </message>
    <message>
      <source>answer length</source>
      <translation>回答长度</translation>
    </message>
    <message>
      <source>automatic</source>
      <translation>自动</translation>
    </message>
    <message>
      <source>balanced</source>
      <translation>均衡</translation>
    </message>
    <message>
      <source>blocks</source>
      <translation>层</translation>
    </message>
    <message>
      <source>bundled text</source>
      <translation>内置文本</translation>
    </message>
    <message>
      <source>bytes read per token</source>
      <translation>每词元读取的字节</translation>
    </message>
    <message>
      <source>carried over from {format} by the difference on the starter, a very small model, so less certain</source>
      <translation>按入门模型（一个很小的模型）上的差异由 {format} 推算，因此不太确定</translation>
    </message>
    <message>
      <source>cluster</source>
      <translation>集群</translation>
    </message>
    <message>
      <source>code</source>
      <translation>代码</translation>
    </message>
    <message>
      <source>collapsed</source>
      <translation>已折叠</translation>
    </message>
    <message>
      <source>compute buffers</source>
      <translation>计算缓冲区</translation>
    </message>
    <message>
      <source>context</source>
      <translation>上下文</translation>
    </message>
    <message>
      <source>context in tokens</source>
      <translation>上下文（词元）</translation>
    </message>
    <message>
      <source>conversation</source>
      <translation>对话</translation>
    </message>
    <message>
      <source>dark</source>
      <translation>深色</translation>
    </message>
    <message>
      <source>device {device}</source>
      <translation>设备 {device}</translation>
    </message>
    <message>
      <source>does not fit</source>
      <translation>放不下</translation>
    </message>
    <message>
      <source>does not fit: {needed} needed on {device}, {available} free</source>
      <translation>放不下：{device} 上需要 {needed}，可用 {available}</translation>
    </message>
    <message>
      <source>each override needs a pattern and a format</source>
      <translation>每个覆盖项都需要模式和格式</translation>
    </message>
    <message>
      <source>embeddings</source>
      <translation>嵌入层</translation>
    </message>
    <message>
      <source>expanded</source>
      <translation>已展开</translation>
    </message>
    <message>
      <source>experts and used experts come together</source>
      <translation>专家数与启用的专家数须同时给出</translation>
    </message>
    <message>
      <source>faithful</source>
      <translation>忠实</translation>
    </message>
    <message>
      <source>fast</source>
      <translation>快速</translation>
    </message>
    <message>
      <source>faster than reading</source>
      <translation>快于阅读</translation>
    </message>
    <message>
      <source>few drafted tokens were accepted</source>
      <translation>草拟的词元很少被接受</translation>
    </message>
    <message>
      <source>fewer threads were used than would be best</source>
      <translation>使用的线程数少于最佳值</translation>
    </message>
    <message>
      <source>first token after {0}</source>
      <translation>首词元 {0}</translation>
    </message>
    <message>
      <source>first token {0}</source>
      <translation>首词元 {0}</translation>
    </message>
    <message>
      <source>fits</source>
      <translation>适合</translation>
    </message>
    <message>
      <source>from published measurements of models of {largest} parameters</source>
      <translation>依据对 {largest} 参数模型公开发表的测量</translation>
    </message>
    <message>
      <source>from published measurements of models of {smallest} to {largest} parameters</source>
      <translation>依据对 {smallest} 到 {largest} 参数模型公开发表的测量</translation>
    </message>
    <message>
      <source>full: LM head with the blocks</source>
      <translation>完整：LM 头与各层一起</translation>
    </message>
    <message>
      <source>gated: terms must be accepted on the hub</source>
      <translation>受限：需要在模型库上同意条款</translation>
    </message>
    <message>
      <source>grammar</source>
      <translation>语法</translation>
    </message>
    <message>
      <source>illegal instruction</source>
      <translation>非法指令</translation>
    </message>
    <message>
      <source>image</source>
      <translation>图片</translation>
    </message>
    <message>
      <source>input</source>
      <translation>输入</translation>
    </message>
    <message>
      <source>instructions in the first message, no system prompt</source>
      <translation>指示写在第一条消息中，不用系统提示词</translation>
    </message>
    <message>
      <source>it cannot be filled in</source>
      <translation>无法填充</translation>
    </message>
    <message>
      <source>it cannot be loaded</source>
      <translation>无法加载</translation>
    </message>
    <message>
      <source>it cannot be read</source>
      <translation>无法读取</translation>
    </message>
    <message>
      <source>it cannot simulate its memory use</source>
      <translation>它无法模拟内存占用</translation>
    </message>
    <message>
      <source>it claims {found} blocks, but has only {wanted} tensors</source>
      <translation>它声称有 {found} 层，但只有 {wanted} 个张量</translation>
    </message>
    <message>
      <source>it claims {found} metadata entries, more than it could hold</source>
      <translation>它声称有 {found} 个元数据项，超过其容量</translation>
    </message>
    <message>
      <source>it claims {found} tensors, more than it could hold</source>
      <translation>它声称有 {found} 个张量，超过其容量</translation>
    </message>
    <message>
      <source>it contains a tensor that the index does not place there</source>
      <translation>它含有索引没有列在此处的某个张量</translation>
    </message>
    <message>
      <source>it contains neither {found} nor {wanted}</source>
      <translation>其中既没有 {found}，也没有 {wanted}</translation>
    </message>
    <message>
      <source>it contains no graph</source>
      <translation>其中没有计算图</translation>
    </message>
    <message>
      <source>it contains no model: there is neither {found} nor {wanted}</source>
      <translation>其中没有模型：既没有 {found}，也没有 {wanted}</translation>
    </message>
    <message>
      <source>it contains no sensitivities</source>
      <translation>其中没有敏感度数据</translation>
    </message>
    <message>
      <source>it contains no text</source>
      <translation>其中没有文本</translation>
    </message>
    <message>
      <source>it contains no tokenizer.json</source>
      <translation>其中没有 tokenizer.json</translation>
    </message>
    <message>
      <source>it could not compile the self-test</source>
      <translation>它无法编译自检</translation>
    </message>
    <message>
      <source>it could not create a context</source>
      <translation>它无法创建上下文</translation>
    </message>
    <message>
      <source>it did not answer in the self-test</source>
      <translation>自检时没有响应</translation>
    </message>
    <message>
      <source>it did not answer in time</source>
      <translation>它没有及时响应</translation>
    </message>
    <message>
      <source>it did not respond in time</source>
      <translation>它没有及时响应</translation>
    </message>
    <message>
      <source>it did not say what kind of reply it sent</source>
      <translation>它没有说明回复的类型</translation>
    </message>
    <message>
      <source>it did not say which part of the file it sent</source>
      <translation>它没有说明发送的是文件的哪一部分</translation>
    </message>
    <message>
      <source>it does not begin like a GGUF file</source>
      <translation>它的开头不是 GGUF 文件</translation>
    </message>
    <message>
      <source>it does not exist</source>
      <translation>它不存在</translation>
    </message>
    <message>
      <source>it does not match the schema</source>
      <translation>它不符合模式</translation>
    </message>
    <message>
      <source>it does not name its architecture</source>
      <translation>它没有写明架构</translation>
    </message>
    <message>
      <source>it does something that templates are not allowed to do</source>
      <translation>它做了模板不允许做的事</translation>
    </message>
    <message>
      <source>it ended with {cause}</source>
      <translation>它以 {cause} 结束</translation>
    </message>
    <message>
      <source>it ends inside its header</source>
      <translation>它在文件头中途结束</translation>
    </message>
    <message>
      <source>it has a file of {found} bytes, but {wanted} are listed</source>
      <translation>它的文件有 {found} 字节，而列表中为 {wanted}</translation>
    </message>
    <message>
      <source>it has an impossible value</source>
      <translation>其中有不可能的值</translation>
    </message>
    <message>
      <source>it has changed since the model was first loaded (see {key})</source>
      <translation>自首次加载模型以来它已改变（见 {key}）</translation>
    </message>
    <message>
      <source>it has metadata of the unknown type {found}</source>
      <translation>元数据的类型 {found} 未知</translation>
    </message>
    <message>
      <source>it has more than a host and a path</source>
      <translation>它含有主机和路径以外的内容</translation>
    </message>
    <message>
      <source>it has nested arrays, which are not supported</source>
      <translation>它含有不受支持的嵌套数组</translation>
    </message>
    <message>
      <source>it has no tokenizer model</source>
      <translation>其中没有分词器模型</translation>
    </message>
    <message>
      <source>it has no tokens</source>
      <translation>其中没有词元</translation>
    </message>
    <message>
      <source>it has no vocabulary</source>
      <translation>其中没有词表</translation>
    </message>
    <message>
      <source>it has no weight map</source>
      <translation>其中没有权重映射表</translation>
    </message>
    <message>
      <source>it has no {key}</source>
      <translation>其中没有 {key}</translation>
    </message>
    <message>
      <source>it has the unknown section {key}</source>
      <translation>其中有未知的部分 {key}</translation>
    </message>
    <message>
      <source>it has too many parts</source>
      <translation>它的部分过多</translation>
    </message>
    <message>
      <source>it has {found} bytes instead of {wanted}</source>
      <translation>它有 {found} 字节，应为 {wanted}</translation>
    </message>
    <message>
      <source>it has {size}, but at most {largest} can be read</source>
      <translation>它有 {size}，而最多能读取 {largest}</translation>
    </message>
    <message>
      <source>it has {wanted} parts, but {found} were given</source>
      <translation>它有 {wanted} 个分卷，但只给出了 {found} 个</translation>
    </message>
    <message>
      <source>it is a mixture of experts</source>
      <translation>它是混合专家模型</translation>
    </message>
    <message>
      <source>it is a pipeline of several graphs</source>
      <translation>它是由多个计算图组成的流水线</translation>
    </message>
    <message>
      <source>it is a {found}, not a model</source>
      <translation>它是 {found}，不是模型</translation>
    </message>
    <message>
      <source>it is empty</source>
      <translation>它是空的</translation>
    </message>
    <message>
      <source>it is larger than 100 MB</source>
      <translation>它大于 100 MB</translation>
    </message>
    <message>
      <source>it is larger than 20 MB</source>
      <translation>它大于 20 MB</translation>
    </message>
    <message>
      <source>it is neither a GGUF file nor an ONNX folder</source>
      <translation>它既不是 GGUF 文件，也不是 ONNX 文件夹</translation>
    </message>
    <message>
      <source>it is neither a GGUF nor a safetensors file</source>
      <translation>它既不是 GGUF 文件，也不是 safetensors 文件</translation>
    </message>
    <message>
      <source>it is nested too deeply</source>
      <translation>嵌套过深</translation>
    </message>
    <message>
      <source>it is not a GGUF file</source>
      <translation>它不是 GGUF 文件</translation>
    </message>
    <message>
      <source>it is not a JSON object</source>
      <translation>它不是 JSON 对象</translation>
    </message>
    <message>
      <source>it is not a Stillroom manifest</source>
      <translation>它不是 Stillroom 清单</translation>
    </message>
    <message>
      <source>it is not a valid pattern</source>
      <translation>它不是有效的模式</translation>
    </message>
    <message>
      <source>it is not an http or https address</source>
      <translation>它不是 http 或 https 地址</translation>
    </message>
    <message>
      <source>it is not an importance matrix</source>
      <translation>它不是重要性矩阵</translation>
    </message>
    <message>
      <source>it is not part {found} of {wanted}</source>
      <translation>它不是第 {found} 个分卷（共 {wanted} 个）</translation>
    </message>
    <message>
      <source>it is not valid JSON</source>
      <translation>它不是有效的 JSON</translation>
    </message>
    <message>
      <source>it is one of {wanted} parts, but is not named like one</source>
      <translation>它是 {wanted} 个分卷之一，但文件名不符合</translation>
    </message>
    <message>
      <source>it is too large</source>
      <translation>它太大</translation>
    </message>
    <message>
      <source>it is too long</source>
      <translation>它太长</translation>
    </message>
    <message>
      <source>it lacks a tensor that the index lists</source>
      <translation>它缺少索引中列出的某个张量</translation>
    </message>
    <message>
      <source>it may be damaged or locked</source>
      <translation>它可能已损坏或被锁定</translation>
    </message>
    <message>
      <source>it must be a JSON object</source>
      <translation>它必须是 JSON 对象</translation>
    </message>
    <message>
      <source>it must be at least {minimum}</source>
      <translation>至少须为 {minimum}</translation>
    </message>
    <message>
      <source>it must be smaller than the key length for MLA</source>
      <translation>对于 MLA，它必须小于键的长度</translation>
    </message>
    <message>
      <source>it must map roles to formats</source>
      <translation>它必须把角色映射到格式</translation>
    </message>
    <message>
      <source>it names a file outside its folder ({key})</source>
      <translation>它指向文件夹以外的文件（{key}）</translation>
    </message>
    <message>
      <source>it names no tool of the request</source>
      <translation>它指定的工具不在请求中</translation>
    </message>
    <message>
      <source>it no longer exists</source>
      <translation>它已不存在</translation>
    </message>
    <message>
      <source>it places a tensor in {key}, which does not exist</source>
      <translation>它把某个张量放在 {key} 中，而该文件不存在</translation>
    </message>
    <message>
      <source>it places a tensor in “{found}”, which is not a file name</source>
      <translation>它把某个张量放在“{found}”中，而这不是文件名</translation>
    </message>
    <message>
      <source>it refused the connection</source>
      <translation>它拒绝了连接</translation>
    </message>
    <message>
      <source>it refuses this conversation</source>
      <translation>它拒绝这段对话</translation>
    </message>
    <message>
      <source>it returned values that are not finite in the self-test</source>
      <translation>它在自检中返回了非有限数值</translation>
    </message>
    <message>
      <source>it returned wrong numbers in the self-test</source>
      <translation>它在自检中返回了错误的数值</translation>
    </message>
    <message>
      <source>it says a vocabulary of {wanted}, but the graph has {found}</source>
      <translation>它记有大小为 {wanted} 的词表，而计算图为 {found}</translation>
    </message>
    <message>
      <source>it says heads of {wanted} values, but the graph has {found}</source>
      <translation>它记有大小为 {wanted} 的头，而计算图为 {found}</translation>
    </message>
    <message>
      <source>it says {value}, but the shape adds up to {expected}</source>
      <translation>它为 {value}，而按形状计算为 {expected}</translation>
    </message>
    <message>
      <source>it says {wanted} blocks, but the graph has {found}</source>
      <translation>它记有 {wanted} 层，而计算图有 {found} 层</translation>
    </message>
    <message>
      <source>it says {wanted} heads, but the graph has {found}</source>
      <translation>它记有 {wanted} 个头，而计算图有 {found} 个</translation>
    </message>
    <message>
      <source>it sent a line of more than {limit} characters</source>
      <translation>它发送了超过 {limit} 个字符的行</translation>
    </message>
    <message>
      <source>it sent no list of models</source>
      <translation>它没有发送模型列表</translation>
    </message>
    <message>
      <source>it sent the bytes {found} instead of {wanted}</source>
      <translation>它发送了字节 {found}，而不是 {wanted}</translation>
    </message>
    <message>
      <source>it sent “{found}” instead of a stream of events</source>
      <translation>它发送了“{found}”，而不是事件流</translation>
    </message>
    <message>
      <source>it stopped working while the model ran</source>
      <translation>它在模型运行时停止工作</translation>
    </message>
    <message>
      <source>it used the encoding {found}, which was not requested</source>
      <translation>它使用了未请求的编码 {found}</translation>
    </message>
    <message>
      <source>it uses sliding-window attention</source>
      <translation>它使用滑动窗口注意力</translation>
    </message>
    <message>
      <source>it uses the activation {found}</source>
      <translation>它使用激活函数 {found}</translation>
    </message>
    <message>
      <source>it uses the rope scaling {found}</source>
      <translation>它使用 {found} 方式的 rope 缩放</translation>
    </message>
    <message>
      <source>it uses {key} without listing it</source>
      <translation>它使用了没有列出的 {key}</translation>
    </message>
    <message>
      <source>it was exported without the static-shape graph that NPUs need</source>
      <translation>导出时没有 NPU 所需的固定形状计算图</translation>
    </message>
    <message>
      <source>its GGUF version {found} is not supported</source>
      <translation>不支持 GGUF 版本 {found}</translation>
    </message>
    <message>
      <source>its RPC server stopped responding</source>
      <translation>其 RPC 服务器停止响应</translation>
    </message>
    <message>
      <source>its address was not found</source>
      <translation>找不到其地址</translation>
    </message>
    <message>
      <source>its alignment {found} is impossible</source>
      <translation>它的对齐值 {found} 不可能</translation>
    </message>
    <message>
      <source>its architecture is {found}</source>
      <translation>它的架构是 {found}</translation>
    </message>
    <message>
      <source>its blocks do not divide the model's heads of {value} values</source>
      <translation>其块大小不能整除模型中 {value} 个值的头</translation>
    </message>
    <message>
      <source>its certificate was not accepted</source>
      <translation>其证书未被接受</translation>
    </message>
    <message>
      <source>its checksum is not the one recorded when it was made</source>
      <translation>它的校验和与制作时记录的不同</translation>
    </message>
    <message>
      <source>its config.json says {found} for {key}</source>
      <translation>它的 config.json 中 {key} 为 {found}</translation>
    </message>
    <message>
      <source>its driver is not loaded</source>
      <translation>其驱动程序未加载</translation>
    </message>
    <message>
      <source>its end token {found} is outside the vocabulary of {wanted}</source>
      <translation>其结束词元 {found} 超出了大小为 {wanted} 的词表</translation>
    </message>
    <message>
      <source>its engine cannot measure the importance of weights</source>
      <translation>其引擎无法测量权重的重要性</translation>
    </message>
    <message>
      <source>its execution provider cannot find it</source>
      <translation>其执行提供程序找不到它</translation>
    </message>
    <message>
      <source>its execution provider did not load</source>
      <translation>其执行提供程序未能加载</translation>
    </message>
    <message>
      <source>its execution provider is not installed</source>
      <translation>其执行提供程序未安装</translation>
    </message>
    <message>
      <source>its feed-forward layers have biases</source>
      <translation>它的前馈层带有偏置</translation>
    </message>
    <message>
      <source>its graph for {device} was exported for</source>
      <translation>导出 {device} 计算图时设定的上限</translation>
    </message>
    <message>
      <source>its graph was exported for {longest} tokens</source>
      <translation>其计算图导出时只支持 {longest} 个词元</translation>
    </message>
    <message>
      <source>its header claims {found} bytes, but the file has {wanted}</source>
      <translation>文件头声称有 {found} 字节，而文件只有 {wanted}</translation>
    </message>
    <message>
      <source>its header does not describe a tensor</source>
      <translation>文件头没有描述某个张量</translation>
    </message>
    <message>
      <source>its header is larger than {largest}</source>
      <translation>它的文件头大于 {largest}</translation>
    </message>
    <message>
      <source>its header is not a JSON object</source>
      <translation>文件头不是 JSON 对象</translation>
    </message>
    <message>
      <source>its input {key} is {found}, but the manifest says {wanted}</source>
      <translation>其输入 {key} 为 {found}，而清单记为 {wanted}</translation>
    </message>
    <message>
      <source>its library does not load</source>
      <translation>其程序库无法加载</translation>
    </message>
    <message>
      <source>its library {library} cannot be loaded</source>
      <translation>无法加载其程序库 {library}</translation>
    </message>
    <message>
      <source>its manifest has the version {found}</source>
      <translation>它的清单版本为 {found}</translation>
    </message>
    <message>
      <source>its parts are in several folders</source>
      <translation>它的分卷位于多个文件夹中</translation>
    </message>
    <message>
      <source>its pre-tokenizer {found} is unknown</source>
      <translation>它的预分词器 {found} 未知</translation>
    </message>
    <message>
      <source>its rope scaling uses the option {key}</source>
      <translation>它的 rope 缩放使用了选项 {key}</translation>
    </message>
    <message>
      <source>its rows are padded to blocks of {found}, which NPUs do not support</source>
      <translation>它的行被填充到大小为 {found} 的块，NPU 不支持</translation>
    </message>
    <message>
      <source>its status was {found}</source>
      <translation>其状态为 {found}</translation>
    </message>
    <message>
      <source>its syntax is wrong</source>
      <translation>其语法有误</translation>
    </message>
    <message>
      <source>its tokenizer is {found}, not byte-level BPE</source>
      <translation>它的分词器是 {found}，不是字节级 BPE</translation>
    </message>
    <message>
      <source>its {key} is {found}</source>
      <translation>其 {key} 为 {found}</translation>
    </message>
    <message>
      <source>its {key} is {found}, and heads of odd size have no rotary positions</source>
      <translation>其 {key} 为 {found}，奇数大小的头没有旋转位置</translation>
    </message>
    <message>
      <source>its {key} is {found}, not a JSON object</source>
      <translation>其 {key} 为 {found}，不是 JSON 对象</translation>
    </message>
    <message>
      <source>its {key} is {found}, not a number</source>
      <translation>其 {key} 为 {found}，不是数字</translation>
    </message>
    <message>
      <source>its {key} is {found}, not a token ID</source>
      <translation>其 {key} 为 {found}，不是词元编号</translation>
    </message>
    <message>
      <source>its {key} is {found}, not a whole number from {wanted}</source>
      <translation>其 {key} 为 {found}，不是从 {wanted} 起的整数</translation>
    </message>
    <message>
      <source>its {key} is {found}, not above zero</source>
      <translation>其 {key} 为 {found}，不大于零</translation>
    </message>
    <message>
      <source>its {key} is {found}, not above {wanted}</source>
      <translation>其 {key} 为 {found}，不大于 {wanted}</translation>
    </message>
    <message>
      <source>its {key} is {found}, not text</source>
      <translation>其 {key} 为 {found}，不是文本</translation>
    </message>
    <message>
      <source>its {key} is {found}, which does not divide the {wanted} heads</source>
      <translation>其 {key} 为 {found}，不能整除 {wanted} 个头</translation>
    </message>
    <message>
      <source>its {key} is {found}, which is not supported</source>
      <translation>其 {key} 为 {found}，不受支持</translation>
    </message>
    <message>
      <source>just now</source>
      <translation>刚刚</translation>
    </message>
    <message>
      <source>light</source>
      <translation>浅色</translation>
    </message>
    <message>
      <source>list of RPC servers</source>
      <translation>RPC 服务器列表</translation>
    </message>
    <message>
      <source>list of depths</source>
      <translation>深度列表</translation>
    </message>
    <message>
      <source>llama-cpp-python is not installed</source>
      <translation>未安装 llama-cpp-python</translation>
    </message>
    <message>
      <source>llama.cpp (GGUF): any CPU or GPU</source>
      <translation>llama.cpp（GGUF）：任意 CPU 或 GPU</translation>
    </message>
    <message>
      <source>lm-eval is missing</source>
      <translation>缺少 lm-eval</translation>
    </message>
    <message>
      <source>longest answer</source>
      <translation>最长回答</translation>
    </message>
    <message>
      <source>mean KL divergence {0} against {1}</source>
      <translation>相对 {1} 的平均 KL 散度 {0}</translation>
    </message>
    <message>
      <source>memory is slower now than when this machine was measured</source>
      <translation>内存速度低于测量本机时的速度</translation>
    </message>
    <message>
      <source>memory ran low and the system swapped</source>
      <translation>内存不足，系统使用了交换空间</translation>
    </message>
    <message>
      <source>memory seems to run on a single channel</source>
      <translation>内存似乎运行在单通道模式</translation>
    </message>
    <message>
      <source>memory use was close to its limit</source>
      <translation>内存用量接近限额</translation>
    </message>
    <message>
      <source>memory was full, so parts of the model were read from disk again and again</source>
      <translation>内存已满，模型的一部分被反复从磁盘读取</translation>
    </message>
    <message>
      <source>memory {0}</source>
      <translation>内存 {0}</translation>
    </message>
    <message>
      <source>memory {0} of {1} planned</source>
      <translation>内存 {0}，计划 {1}</translation>
    </message>
    <message>
      <source>model</source>
      <translation>模型</translation>
    </message>
    <message>
      <source>no RPC server from the settings responds</source>
      <translation>设置中的 RPC 服务器均无响应</translation>
    </message>
    <message>
      <source>no RPC server responds at its address</source>
      <translation>其地址上没有 RPC 服务器响应</translation>
    </message>
    <message>
      <source>no engine for this model supports it</source>
      <translation>没有适用于此模型的引擎支持它</translation>
    </message>
    <message>
      <source>no library passed its self-test: {failed}</source>
      <translation>没有库通过自检：{failed}</translation>
    </message>
    <message>
      <source>no model</source>
      <translation>没有模型</translation>
    </message>
    <message>
      <source>no such hardware was found</source>
      <translation>未找到此类硬件</translation>
    </message>
    <message>
      <source>none of its libraries passed the self-test</source>
      <translation>其程序库都没有通过自检</translation>
    </message>
    <message>
      <source>none: all inputs weighted equally</source>
      <translation>不校准：所有输入权重相同</translation>
    </message>
    <message>
      <source>not a number</source>
      <translation>非数值</translation>
    </message>
    <message>
      <source>not preferred</source>
      <translation>不优先</translation>
    </message>
    <message>
      <source>not stated</source>
      <translation>未说明</translation>
    </message>
    <message>
      <source>not verified: the hub provides none</source>
      <translation>未校验：模型库没有提供校验和</translation>
    </message>
    <message>
      <source>nothing has been evaluated yet</source>
      <translation>尚未计算任何内容</translation>
    </message>
    <message>
      <source>number of repetitions</source>
      <translation>重复次数</translation>
    </message>
    <message>
      <source>number of sequences</source>
      <translation>序列数</translation>
    </message>
    <message>
      <source>number of threads</source>
      <translation>线程数</translation>
    </message>
    <message>
      <source>one of its events is not a chunk of an answer</source>
      <translation>它的某个事件不是回答的片段</translation>
    </message>
    <message>
      <source>only https is trusted with this</source>
      <translation>此处只信任 https</translation>
    </message>
    <message>
      <source>only part of each head has rotary positions</source>
      <translation>每个头只有一部分带旋转位置</translation>
    </message>
    <message>
      <source>other programs kept the cores busy</source>
      <translation>其他程序占用了处理器核心</translation>
    </message>
    <message>
      <source>part of the model was not on the device it was planned for</source>
      <translation>模型的一部分不在计划的设备上</translation>
    </message>
    <message>
      <source>placement</source>
      <translation>放置方式</translation>
    </message>
    <message>
      <source>placement policy</source>
      <translation>放置策略</translation>
    </message>
    <message>
      <source>placement {policy} with every block on the CPU</source>
      <translation>放置方式 {policy}，所有层都在 CPU 上</translation>
    </message>
    <message>
      <source>placement {policy} with the LM head on the CPU</source>
      <translation>放置方式 {policy}，LM 头在 CPU 上</translation>
    </message>
    <message>
      <source>placement {policy} with {blocks_off_cpu} of {blocks} blocks on {accelerators}</source>
      <translation>放置方式 {policy}，{blocks} 层中有 {blocks_off_cpu} 层在 {accelerators} 上</translation>
    </message>
    <message>
      <source>possible here</source>
      <translation>此处可行的上限</translation>
    </message>
    <message>
      <source>prefill {0} tok/s</source>
      <translation>预填充 {0} tok/s</translation>
    </message>
    <message>
      <source>program</source>
      <translation>程序</translation>
    </message>
    <message>
      <source>prompt</source>
      <translation>提示</translation>
    </message>
    <message>
      <source>prompt length</source>
      <translation>提示长度</translation>
    </message>
    <message>
      <source>reading speed</source>
      <translation>阅读速度</translation>
    </message>
    <message>
      <source>request</source>
      <translation>请求</translation>
    </message>
    <message>
      <source>run</source>
      <translation>运行</translation>
    </message>
    <message>
      <source>sampling</source>
      <translation>采样</translation>
    </message>
    <message>
      <source>schema</source>
      <translation>模式</translation>
    </message>
    <message>
      <source>shared</source>
      <translation>共用</translation>
    </message>
    <message>
      <source>shared with the embeddings</source>
      <translation>与嵌入层共用</translation>
    </message>
    <message>
      <source>slower</source>
      <translation>更慢</translation>
    </message>
    <message>
      <source>slower than reading</source>
      <translation>慢于阅读</translation>
    </message>
    <message>
      <source>split: LM head on CPU</source>
      <translation>拆分：LM 头在 CPU</translation>
    </message>
    <message>
      <source>stopped early</source>
      <translation>提前停止</translation>
    </message>
    <message>
      <source>system default</source>
      <translation>跟随系统</translation>
    </message>
    <message>
      <source>temperature {0}</source>
      <translation>温度 {0}</translation>
    </message>
    <message>
      <source>text</source>
      <translation>文本</translation>
    </message>
    <message>
      <source>the bounds {value} must be counts</source>
      <translation>界限 {value} 必须是非负整数</translation>
    </message>
    <message>
      <source>the bounds {value} must be in order, and the lower {maximum} at most</source>
      <translation>界限 {value} 须按顺序，且下限不超过 {maximum}</translation>
    </message>
    <message>
      <source>the connection broke off</source>
      <translation>连接中断</translation>
    </message>
    <message>
      <source>the conversation is long</source>
      <translation>对话较长</translation>
    </message>
    <message>
      <source>the engine cannot read it</source>
      <translation>引擎无法读取它</translation>
    </message>
    <message>
      <source>the engine does not list it</source>
      <translation>引擎没有列出它</translation>
    </message>
    <message>
      <source>the engine does not support it</source>
      <translation>引擎不支持它</translation>
    </message>
    <message>
      <source>the engine was built without support for it</source>
      <translation>引擎编译时未加入对它的支持</translation>
    </message>
    <message>
      <source>the engine was compiled for this processor</source>
      <translation>引擎是为此处理器编译的</translation>
    </message>
    <message>
      <source>the file {name} is missing</source>
      <translation>缺少文件 {name}</translation>
    </message>
    <message>
      <source>the hub does not say how large it is</source>
      <translation>模型库没有给出其大小</translation>
    </message>
    <message>
      <source>the installed engine was built without support for it</source>
      <translation>已安装的引擎不支持它</translation>
    </message>
    <message>
      <source>the key {key} appears twice</source>
      <translation>键 {key} 出现了两次</translation>
    </message>
    <message>
      <source>the model could not be compiled for it</source>
      <translation>模型无法为它编译</translation>
    </message>
    <message>
      <source>the model ran on another device than planned</source>
      <translation>模型没有在计划的设备上运行</translation>
    </message>
    <message>
      <source>the model was trained for</source>
      <translation>模型训练时的上限</translation>
    </message>
    <message>
      <source>the part {name} is missing</source>
      <translation>缺少分卷 {name}</translation>
    </message>
    <message>
      <source>the processor ran below its normal clock speed</source>
      <translation>处理器的运行频率低于正常频率</translation>
    </message>
    <message>
      <source>the processor was saving power on battery</source>
      <translation>处理器因使用电池而处于省电状态</translation>
    </message>
    <message>
      <source>the reference {value} points at itself</source>
      <translation>引用 {value} 指向自身</translation>
    </message>
    <message>
      <source>the reference {value} points nowhere</source>
      <translation>引用 {value} 没有指向任何内容</translation>
    </message>
    <message>
      <source>the reply is not JSON</source>
      <translation>回复不是 JSON</translation>
    </message>
    <message>
      <source>the self-test crashed</source>
      <translation>自检崩溃</translation>
    </message>
    <message>
      <source>the server at its address is not an RPC server of this engine's version</source>
      <translation>其地址上的服务器不是与此引擎版本相符的 RPC 服务器</translation>
    </message>
    <message>
      <source>the setting “Stay offline” is on</source>
      <translation>“保持离线”设置已打开</translation>
    </message>
    <message>
      <source>the system refused: “{cause}”</source>
      <translation>系统拒绝：“{cause}”</translation>
    </message>
    <message>
      <source>the tensor {tensor} does not belong to the architecture {key}</source>
      <translation>张量 {tensor} 不属于架构 {key}</translation>
    </message>
    <message>
      <source>the tensor {tensor} has the type {found}</source>
      <translation>张量 {tensor} 的类型为 {found}</translation>
    </message>
    <message>
      <source>the token {key} has the ID {found}, but the vocabulary has {wanted} entries</source>
      <translation>词元 {key} 的编号为 {found}，而词表只有 {wanted} 项</translation>
    </message>
    <message>
      <source>the weights were read from disk</source>
      <translation>权重是从磁盘读取的</translation>
    </message>
    <message>
      <source>there is neither a package nor a repository to get the model from</source>
      <translation>既没有软件包也没有仓库可以获取该模型</translation>
    </message>
    <message>
      <source>there is no execution provider for it on this system</source>
      <translation>此系统上没有适用于它的执行提供程序</translation>
    </message>
    <message>
      <source>there is no format {found}</source>
      <translation>没有 {found} 这种格式</translation>
    </message>
    <message>
      <source>there is no format “{value}”</source>
      <translation>没有“{value}”这种格式</translation>
    </message>
    <message>
      <source>there is no job “{value}”</source>
      <translation>没有名为“{value}”的任务</translation>
    </message>
    <message>
      <source>there is no such device</source>
      <translation>没有此设备</translation>
    </message>
    <message>
      <source>this engine does not support it</source>
      <translation>此引擎不支持</translation>
    </message>
    <message>
      <source>this engine keeps the LM head on the CPU</source>
      <translation>此引擎把 LM 头留在 CPU 上</translation>
    </message>
    <message>
      <source>this file was exported for</source>
      <translation>导出此文件时设定的上限</translation>
    </message>
    <message>
      <source>this machine has no network connection</source>
      <translation>本机没有网络连接</translation>
    </message>
    <message>
      <source>this model was exported without the static-shape graph that NPUs need</source>
      <translation>导出此模型时没有生成 NPU 所需的静态形状计算图</translation>
    </message>
    <message>
      <source>this user has no permission to open it: add them to the render group</source>
      <translation>当前用户无权打开它：请将其加入 render 用户组</translation>
    </message>
    <message>
      <source>tight</source>
      <translation>勉强</translation>
    </message>
    <message>
      <source>tok/s</source>
      <translation>tok/s</translation>
    </message>
    <message>
      <source>token</source>
      <translation>词元</translation>
    </message>
    <message>
      <source>too little memory is left to test it</source>
      <translation>剩余内存不足，无法测试</translation>
    </message>
    <message>
      <source>top-p {0}</source>
      <translation>top-p {0}</translation>
    </message>
    <message>
      <source>transformer blocks</source>
      <translation>Transformer 层</translation>
    </message>
    <message>
      <source>two tensors get the same name</source>
      <translation>两个张量得到了相同的名称</translation>
    </message>
    <message>
      <source>weight format</source>
      <translation>权重格式</translation>
    </message>
    <message>
      <source>weights</source>
      <translation>权重</translation>
    </message>
    <message>
      <source>width</source>
      <translation>宽度</translation>
    </message>
    <message>
      <source>without https, others could read the prompts and the key</source>
      <translation>没有 https，他人可能读取提示和密钥</translation>
    </message>
    <message>
      <source>working set</source>
      <translation>工作集</translation>
    </message>
    <message>
      <source>your own text…</source>
      <translation>你自己的文本…</translation>
    </message>
    <message>
      <source>{0} % not explained by any measurement</source>
      <translation>{0} % 无法由测量数据解释</translation>
    </message>
    <message>
      <source>{0} (not offline: {1})</source>
      <translation>{0}（非离线：{1}）</translation>
    </message>
    <message>
      <source>{0} (recommended)</source>
      <translation>{0}（推荐）</translation>
    </message>
    <message>
      <source>{0} ({1} to {2})</source>
      <translation>{0}（{1} 到 {2}）</translation>
    </message>
    <message>
      <source>{0} and its key have been removed.</source>
      <translation>{0} 及其密钥已删除。</translation>
    </message>
    <message>
      <source>{0} at {1}</source>
      <translation>{1} 时 {0}</translation>
    </message>
    <message>
      <source>{0} blocks</source>
      <translation>{0} 层</translation>
    </message>
    <message>
      <source>{0} downloads</source>
      <translation>{0} 个下载</translation>
    </message>
    <message>
      <source>{0} for a prompt of {1} tokens</source>
      <translation>{0}（{1} 个词元的提示词）</translation>
    </message>
    <message>
      <source>{0} for {1} tokens</source>
      <translation>{0}（{1} 个词元）</translation>
    </message>
    <message>
      <source>{0} h ago</source>
      <translation>{0} 小时前</translation>
    </message>
    <message>
      <source>{0} is ready</source>
      <translation>{0} 已就绪</translation>
    </message>
    <message>
      <source>{0} left</source>
      <translation>剩余 {0}</translation>
    </message>
    <message>
      <source>{0} min ago</source>
      <translation>{0} 分钟前</translation>
    </message>
    <message>
      <source>{0} more per token when full</source>
      <translation>填满时每个词元多用 {0}</translation>
    </message>
    <message>
      <source>{0} of {1}</source>
      <translation>{0}，共 {1}</translation>
    </message>
    <message>
      <source>{0} of {1} drafted tokens accepted</source>
      <translation>草拟的 {1} 个词元中接受 {0} 个</translation>
    </message>
    <message>
      <source>{0} of {1} free</source>
      <translation>{0}，可用 {1}</translation>
    </message>
    <message>
      <source>{0} of {1} tokens</source>
      <translation>{0} / {1} 词元</translation>
    </message>
    <message>
      <source>{0} per token</source>
      <translation>每个词元 {0}</translation>
    </message>
    <message>
      <source>{0} planned</source>
      <translation>计划 {0}</translation>
    </message>
    <message>
      <source>{0} predicted</source>
      <translation>预测 {0}</translation>
    </message>
    <message>
      <source>{0} removed</source>
      <translation>{0} 已移除</translation>
    </message>
    <message>
      <source>{0} runs on this machine. Nothing you write leaves it.</source>
      <translation>{0} 在本机上运行，你写的内容不会离开本机。</translation>
    </message>
    <message>
      <source>{0} times slower than predicted</source>
      <translation>比预测慢 {0} 倍</translation>
    </message>
    <message>
      <source>{0} tok/s at {1} tokens</source>
      <translation>{1} 个词元时 {0} tok/s</translation>
    </message>
    <message>
      <source>{0} tok/s expected</source>
      <translation>预计 {0} tok/s</translation>
    </message>
    <message>
      <source>{0} tokens</source>
      <translation>{0} 词元</translation>
    </message>
    <message>
      <source>{0}, {1} bits per weight, about {2}</source>
      <translation>{0}，每权重 {1} 位，约 {2}</translation>
    </message>
    <message>
      <source>{0}: {1}</source>
      <translation>{0}：{1}</translation>
    </message>
    <message>
      <source>{0}: {1} of models</source>
      <translation>{0}：模型共 {1}</translation>
    </message>
    <message>
      <source>{better} is closer to {source} than {worse}: its mean KL divergence is lower by {difference} ({low} to {high}).</source>
      <translation>{better} 比 {worse} 更接近 {source}：平均 KL 散度低 {difference}（{low} 到 {high}）。</translation>
    </message>
    <message>
      <source>{better} is closer to {source}: {worse} gives values that are not numbers.</source>
      <translation>{better} 更接近 {source}：{worse} 给出了非数值。</translation>
    </message>
    <message>
      <source>{blocks} blocks are on {device}: more would not fit.</source>
      <translation>{blocks} 层在 {device} 上：再多就放不下。</translation>
    </message>
    <message>
      <source>{code}</source>
      <translation>{code}</translation>
    </message>
    <message>
      <source>{device} is not used: {why}.</source>
      <translation>未使用 {device}：{why}。</translation>
    </message>
    <message>
      <source>{device} was planned but failed: {why}. This is the next best choice.</source>
      <translation>计划使用的 {device} 出错：{why}。这是次优选择。</translation>
    </message>
    <message>
      <source>{device}: the link has a round trip of {trip_us} µs and a bandwidth of {gb_per_second} GB/s, which adds at least {token_ms} ms to each token.</source>
      <translation>{device}：链路往返延迟 {trip_us} µs，带宽 {gb_per_second} GB/s，每个词元因此至少多用 {token_ms} ms。</translation>
    </message>
    <message>
      <source>{draft} cannot be the draft model: answers stay the same only with all blocks on the CPU, and some are on {device}.</source>
      <translation>{draft} 不能用作草稿模型：只有所有层都在 CPU 上时回答才保持不变，而部分层在 {device} 上。</translation>
    </message>
    <message>
      <source>{draft} cannot be the draft model: it is not a GGUF file smaller than the model.</source>
      <translation>{draft} 不能用作草稿模型：它不是比模型更小的 GGUF 文件。</translation>
    </message>
    <message>
      <source>{draft} cannot be the draft model: its BOS token is {theirs}, the model's is {target}.</source>
      <translation>{draft} 不能用作草稿模型：它的起始词元（BOS）是 {theirs}，模型的是 {target}。</translation>
    </message>
    <message>
      <source>{draft} cannot be the draft model: its EOS token is {theirs}, the model's is {target}.</source>
      <translation>{draft} 不能用作草稿模型：它的结束词元（EOS）是 {theirs}，模型的是 {target}。</translation>
    </message>
    <message>
      <source>{draft} cannot be the draft model: its tokenizer is {theirs}, the model's is {target}.</source>
      <translation>{draft} 不能用作草稿模型：它的分词器是 {theirs}，模型的是 {target}。</translation>
    </message>
    <message>
      <source>{draft} cannot be the draft model: its vocabulary has {theirs} tokens, the model has {target}.</source>
      <translation>{draft} 不能用作草稿模型：它的词表有 {theirs} 个词元，模型有 {target} 个。</translation>
    </message>
    <message>
      <source>{draft} cannot be the draft model: only with llama.cpp and flash attention do its drafts leave answers as they are.</source>
      <translation>{draft} 不能用作草稿模型：只有在启用 flash attention 的 llama.cpp 上，它的草稿才不会改变回答。</translation>
    </message>
    <message>
      <source>{draft} cannot be the draft model: the {needed} it needs do not fit beside the model.</source>
      <translation>{draft} 不能用作草稿模型：它需要的 {needed} 与模型一起放不下。</translation>
    </message>
    <message>
      <source>{draft} cannot be the draft model: token {token} is {theirs} there, but {target} in the model.</source>
      <translation>{draft} 不能用作草稿模型：词元 {token} 在其中是 {theirs}，在模型中是 {target}。</translation>
    </message>
    <message>
      <source>{draft} drafts tokens ahead (+{needed} memory) and is used only while it makes answers faster.</source>
      <translation>{draft} 提前草拟词元（多用 {needed} 内存），仅在能加快回答时使用。</translation>
    </message>
    <message>
      <source>{endpoint} is not used: {reason}.</source>
      <translation>未使用 {endpoint}：{reason}。</translation>
    </message>
    <message>
      <source>{engine} and {other} decode equally fast here ({decode_tps} and {other_decode_tps}).</source>
      <translation>{engine} 与 {other} 在本机的解码速度相当（{decode_tps} 和 {other_decode_tps}）。</translation>
    </message>
    <message>
      <source>{engine} decodes at {decode_tps} here and {other} at {other_decode_tps}, measured with this model.</source>
      <translation>{engine} 在本机的解码速度为 {decode_tps}，{other} 为 {other_decode_tps}（用此模型实测）。</translation>
    </message>
    <message>
      <source>{engine}: it supports {device}.</source>
      <translation>{engine}：它支持 {device}。</translation>
    </message>
    <message>
      <source>{engine}: the only engine that has run this model here.</source>
      <translation>{engine}：唯一在本机运行过此模型的引擎。</translation>
    </message>
    <message>
      <source>{engine}; the model is also installed for another engine, and `stillroom profile` measures which is faster.</source>
      <translation>{engine}；此模型也有另一引擎的版本，可用 `stillroom profile` 测出哪个更快。</translation>
    </message>
    <message>
      <source>{field} does not go with {value}: all of them are measured on the same text.</source>
      <translation>{field} 不能与 {value} 同用：各种方式都要在同样的文本上测量。</translation>
    </message>
    <message>
      <source>{field} has the format {value}, but this version reads {maximum}.</source>
      <translation>{field} 的格式为 {value}，而此版本读取 {maximum}。</translation>
    </message>
    <message>
      <source>{field} is not a saved run{said}.</source>
      <translation>{field} 不是已保存的运行{said}。</translation>
    </message>
    <message>
      <source>{field} needs --prompt.</source>
      <translation>{field} 需要 --prompt。</translation>
    </message>
    <message>
      <source>{field} needs --size or --bits.</source>
      <translation>{field} 需要 --size 或 --bits。</translation>
    </message>
    <message>
      <source>{file} cannot be converted: {reason}{said}.</source>
      <translation>无法转换 {file}：{reason}{said}。</translation>
    </message>
    <message>
      <source>{file} cannot be imported: it contains no messages.</source>
      <translation>无法导入 {file}：其中没有消息。</translation>
    </message>
    <message>
      <source>{file} cannot be imported: it has the unknown role “{value}”.</source>
      <translation>无法导入 {file}：其中有未知的角色“{value}”。</translation>
    </message>
    <message>
      <source>{file} cannot be imported: it is not an exported conversation.</source>
      <translation>无法导入 {file}：它不是导出的对话。</translation>
    </message>
    <message>
      <source>{file} cannot be imported: it is too large.</source>
      <translation>无法导入 {file}：它太大。</translation>
    </message>
    <message>
      <source>{file} cannot be imported: message {value} appears twice.</source>
      <translation>无法导入 {file}：消息 {value} 出现了两次。</translation>
    </message>
    <message>
      <source>{file} cannot be imported: message {value} replies to one that does not exist.</source>
      <translation>无法导入 {file}：消息 {value} 回复了不存在的消息。</translation>
    </message>
    <message>
      <source>{file} cannot be imported: the text of {value} is incomplete.</source>
      <translation>无法导入 {file}：{value} 的文本不完整。</translation>
    </message>
    <message>
      <source>{file} cannot be imported: {reason}.</source>
      <translation>无法导入 {file}：{reason}。</translation>
    </message>
    <message>
      <source>{file} cannot be imported{said}.</source>
      <translation>无法导入 {file}{said}。</translation>
    </message>
    <message>
      <source>{file} cannot be read{said}.</source>
      <translation>无法读取 {file}{said}。</translation>
    </message>
    <message>
      <source>{file} cannot be used.</source>
      <translation>无法使用 {file}。</translation>
    </message>
    <message>
      <source>{file} does not match its checksum; it was not installed.</source>
      <translation>{file} 与校验和不符；未安装。</translation>
    </message>
    <message>
      <source>{file} does not say its name.</source>
      <translation>{file} 没有写明名称。</translation>
    </message>
    <message>
      <source>{file} has no list of its files.</source>
      <translation>{file} 没有文件清单。</translation>
    </message>
    <message>
      <source>{file} has no tensor {tensor}.</source>
      <translation>{file} 没有张量 {tensor}。</translation>
    </message>
    <message>
      <source>{file} is already quantized (the tensor {tensor} is in {format}): quantizing it again adds to what that lost.</source>
      <translation>{file} 已经量化（张量 {tensor} 为 {format}）：再次量化会加大已有的损失。</translation>
    </message>
    <message>
      <source>{file} is being downloaded by another window.</source>
      <translation>另一个窗口正在下载 {file}。</translation>
    </message>
    <message>
      <source>{file} is damaged or not a checkpoint: {reason}{at_tensor}{said}.</source>
      <translation>{file} 已损坏或不是检查点：{reason}{at_tensor}{said}。</translation>
    </message>
    <message>
      <source>{file} is damaged or not a model: {reason}{at_tensor}{said}.</source>
      <translation>{file} 已损坏或不是模型：{reason}{at_tensor}{said}。</translation>
    </message>
    <message>
      <source>{file} is damaged: {reason}{at_tensor}{said}.</source>
      <translation>{file} 已损坏：{reason}{at_tensor}{said}。</translation>
    </message>
    <message>
      <source>{file} is for version {found} of the engine, but this one is {wanted}.</source>
      <translation>{file} 用于引擎版本 {found}，而此处为 {wanted}。</translation>
    </message>
    <message>
      <source>{file} is for {found}, but this machine is {wanted}.</source>
      <translation>{file} 用于 {found}，而本机为 {wanted}。</translation>
    </message>
    <message>
      <source>{file} is not a wheel.</source>
      <translation>{file} 不是 wheel 文件。</translation>
    </message>
    <message>
      <source>{file} is not supported: {reason}{said}.</source>
      <translation>不支持 {file}：{reason}{said}。</translation>
    </message>
    <message>
      <source>{file} is not the pack that the list names: its SHA-256 differs.</source>
      <translation>{file} 不是列表中的附加包：其 SHA-256 不同。</translation>
    </message>
    <message>
      <source>{file} needs {needed}, but only {available} is free.</source>
      <translation>{file} 需要 {needed}，但可用空间只有 {available}。</translation>
    </message>
    <message>
      <source>{first}, {second}</source>
      <translation>{first}、{second}</translation>
    </message>
    <message>
      <source>{format} cannot hold rows of {found} values</source>
      <translation>{format} 无法存储每行 {found} 个值</translation>
    </message>
    <message>
      <source>{format} needs an importance matrix</source>
      <translation>{format} 需要重要性矩阵</translation>
    </message>
    <message>
      <source>{format} produced {found} bytes instead of {wanted}</source>
      <translation>{format} 产生了 {found} 字节，应为 {wanted}</translation>
    </message>
    <message>
      <source>{found} is not a GGUF format</source>
      <translation>{found} 不是 GGUF 格式</translation>
    </message>
    <message>
      <source>{label}, the usual default elsewhere: nothing that loses as little is faster here ({decode_tps} predicted, expected KL {loss}).</source>
      <translation>{label}：其他软件的通用默认格式；在损失不超过它的格式中，本机没有更快的（预测 {decode_tps}，预期 KL {loss}）。</translation>
    </message>
    <message>
      <source>{label}: faster ({decode_tps} predicted, {chosen} {chosen_tps}), but it loses more: expected KL {loss}, {chosen} {chosen_loss}.</source>
      <translation>{label}：更快（预测 {decode_tps}，{chosen} 为 {chosen_tps}），但损失更大：预期 KL {loss}，{chosen} 为 {chosen_loss}。</translation>
    </message>
    <message>
      <source>{label}: it does not fit in memory.</source>
      <translation>{label}：内存放不下。</translation>
    </message>
    <message>
      <source>{label}: it leaves room for a context of {context} tokens only.</source>
      <translation>{label}：只能留出 {context} 个词元的上下文。</translation>
    </message>
    <message>
      <source>{label}: it leaves the most room for context ({context} tokens).</source>
      <translation>{label}：为上下文留出的空间最大（{context} 个词元）。</translation>
    </message>
    <message>
      <source>{label}: it loses less (expected KL {loss}, {chosen} {chosen_loss}), but is slower ({decode_tps} predicted, {chosen} {chosen_tps}).</source>
      <translation>{label}：损失更小（预期 KL {loss}，{chosen} 为 {chosen_loss}），但更慢（预测 {decode_tps}，{chosen} 为 {chosen_tps}）。</translation>
    </message>
    <message>
      <source>{label}: it loses more (expected KL {loss}) than {chosen} ({chosen_loss}) and is no faster ({decode_tps} predicted, {chosen} {chosen_tps}).</source>
      <translation>{label}：损失（预期 KL {loss}）大于 {chosen}（{chosen_loss}），也不更快（预测 {decode_tps}，{chosen} 为 {chosen_tps}）。</translation>
    </message>
    <message>
      <source>{label}: its loss has not been measured on any model.</source>
      <translation>{label}：它的损失没有在任何模型上测量过。</translation>
    </message>
    <message>
      <source>{label}: its speed here is not known.</source>
      <translation>{label}：它在本机的速度未知。</translation>
    </message>
    <message>
      <source>{label}: making it takes about {minutes} minutes here, so it is made only where it is asked for.</source>
      <translation>{label}：在本机制作约需 {minutes} 分钟，因此仅在指定时才制作。</translation>
    </message>
    <message>
      <source>{label}: speeds here are not known, so the usual order applies, which begins with {peer}.</source>
      <translation>{label}：本机的速度未知，因此采用通常的顺序，{peer} 居首。</translation>
    </message>
    <message>
      <source>{label}: the best trade of speed for loss ({decode_tps} predicted, expected KL {loss}); twice the speed is counted as worth a KL of {worth}.</source>
      <translation>{label}：速度与损失的最佳折中（预测 {decode_tps}，预期 KL {loss}）；速度翻倍按值 KL {worth} 计。</translation>
    </message>
    <message>
      <source>{label}: the fastest here ({decode_tps} predicted) of what loses at most {extra} more than {peer}, the usual default elsewhere (expected KL {loss}, {peer} {peer_loss}).</source>
      <translation>{label}：在损失最多比其他软件的通用默认格式 {peer} 多 {extra} 的格式中，本机最快（预测 {decode_tps}，预期 KL {loss}，{peer} 为 {peer_loss}）。</translation>
    </message>
    <message>
      <source>{label}: the fastest here ({decode_tps} predicted) of what loses no more than {peer}, the usual default elsewhere (expected KL {loss}, {peer} {peer_loss}).</source>
      <translation>{label}：在损失不超过其他软件的通用默认格式 {peer} 的格式中，本机最快（预测 {decode_tps}，预期 KL {loss}，{peer} 为 {peer_loss}）。</translation>
    </message>
    <message>
      <source>{label}: the least expected loss (KL {loss}) among what decodes at {comfortable_tps} or more ({decode_tps} predicted).</source>
      <translation>{label}：在解码速度不低于 {comfortable_tps} 的格式中预期损失最小（KL {loss}，预测 {decode_tps}）。</translation>
    </message>
    <message>
      <source>{label}: what the formats at hand lose has not been measured, so the usual order applies.</source>
      <translation>{label}：可用格式的损失尚未测量过，因此采用通常的顺序。</translation>
    </message>
    <message>
      <source>{label}: {decode_tps} predicted, expected KL {loss}.</source>
      <translation>{label}：预测 {decode_tps}，预期 KL {loss}。</translation>
    </message>
    <message>
      <source>{library}: the best of {count} for this processor, and its self-test passed</source>
      <translation>{library}：{count} 个库中最适合此处理器的，且通过了自检</translation>
    </message>
    <message>
      <source>{library}: the best of {count} whose self-test passed; {failed} failed</source>
      <translation>{library}：{count} 个库中通过自检的最佳者；{failed} 未通过</translation>
    </message>
    <message>
      <source>{machines} such machines</source>
      <translation>{machines} 台这样的机器</translation>
    </message>
    <message>
      <source>{n_threads} of {cores} threads for decoding: more were slower when this machine was measured.</source>
      <translation>解码使用 {cores} 个线程中的 {n_threads} 个：测量本机时，更多线程反而更慢。</translation>
    </message>
    <message>
      <source>{n_threads} threads: one for each available core.</source>
      <translation>{n_threads} 个线程：每个可用核心一个。</translation>
    </message>
    <message>
      <source>{name} ({why})</source>
      <translation>{name}（{why}）</translation>
    </message>
    <message>
      <source>{name} answered with an error (status {status}){said}.</source>
      <translation>{name} 返回了错误（状态 {status}）{said}。</translation>
    </message>
    <message>
      <source>{name} at {url} cannot be reached: {kind}.</source>
      <translation>无法连接 {url} 上的 {name}：{kind}。</translation>
    </message>
    <message>
      <source>{name} at {url} redirects requests to {target}; the redirect was not followed.</source>
      <translation>{url} 上的 {name} 把请求重定向到 {target}；未跟随重定向。</translation>
    </message>
    <message>
      <source>{name} at {url} refused the request (status {status}){said}.</source>
      <translation>{url} 上的 {name} 拒绝了请求（状态 {status}）{said}。</translation>
    </message>
    <message>
      <source>{name} cannot be read: {reason}.</source>
      <translation>无法读取 {name}：{reason}。</translation>
    </message>
    <message>
      <source>{name} ended its answer early, after {pieces} chunks.</source>
      <translation>{name} 发送 {pieces} 个数据块后中断了回答。</translation>
    </message>
    <message>
      <source>{name} failed.</source>
      <translation>{name} 失败。</translation>
    </message>
    <message>
      <source>{name} is damaged: its files differ from what was installed.</source>
      <translation>{name} 已损坏：文件与安装时不同。</translation>
    </message>
    <message>
      <source>{name} received too many requests and asked to wait {retry_after:.0f} seconds.</source>
      <translation>{name} 收到的请求过多，要求等待 {retry_after:.0f} 秒。</translation>
    </message>
    <message>
      <source>{name} received too many requests and did not say how long to wait.</source>
      <translation>{name} 收到的请求过多，但没有说明需要等待多久。</translation>
    </message>
    <message>
      <source>{path} already contains a model named {name}.</source>
      <translation>{path} 中已有名为 {name} 的模型。</translation>
    </message>
    <message>
      <source>{path} already exists and is not replaced.</source>
      <translation>{path} 已经存在，不会被替换。</translation>
    </message>
    <message>
      <source>{path} cannot be read{said}.</source>
      <translation>无法读取 {path}{said}。</translation>
    </message>
    <message>
      <source>{path} cannot be the new models folder: one folder is inside the other.</source>
      <translation>{path} 不能作为新的模型文件夹：其中一个文件夹位于另一个之内。</translation>
    </message>
    <message>
      <source>{path} cannot be written{said}.</source>
      <translation>无法写入 {path}{said}。</translation>
    </message>
    <message>
      <source>{path} contains no file {name}.</source>
      <translation>{path} 中没有文件 {name}。</translation>
    </message>
    <message>
      <source>{path} is a folder: name a file to write.</source>
      <translation>{path} 是文件夹：请给出要写入的文件名。</translation>
    </message>
    <message>
      <source>{path} is in the catalog but not on this machine.</source>
      <translation>{path} 在目录中，但不在这台电脑上。</translation>
    </message>
    <message>
      <source>{path} is in the models folder: give a name instead of a path.</source>
      <translation>{path} 在模型文件夹里：请给出名称，而不是路径。</translation>
    </message>
    <message>
      <source>{path} is neither a file nor a pack of the list.</source>
      <translation>{path} 既不是文件，也不是列表中的附加包。</translation>
    </message>
    <message>
      <source>{path} is not a JSON object.</source>
      <translation>{path} 不是 JSON 对象。</translation>
    </message>
    <message>
      <source>{path} is not in the models folder.</source>
      <translation>{path} 不在模型文件夹中。</translation>
    </message>
    <message>
      <source>{path} of {repo} is not usable: {reason}.</source>
      <translation>{repo} 的 {path} 不可用：{reason}。</translation>
    </message>
    <message>
      <source>{reason}</source>
      <translation>{reason}</translation>
    </message>
    <message>
      <source>{repo} has no file {path}.</source>
      <translation>{repo} 没有文件 {path}。</translation>
    </message>
    <message>
      <source>{repo} has no revision {revision}.</source>
      <translation>{repo} 没有版本 {revision}。</translation>
    </message>
    <message>
      <source>{repo} is gated: its owner grants access on request.</source>
      <translation>{repo} 受限：需向所有者申请访问。</translation>
    </message>
    <message>
      <source>{value} blocks cannot be divided among {maximum} GPUs</source>
      <translation>{value} 层无法分配到 {maximum} 个 GPU 上</translation>
    </message>
    <message>
      <source>{value} cannot be read as text</source>
      <translation>无法将 {value} 作为文本读取</translation>
    </message>
    <message>
      <source>{value} does not divide the {expected} heads</source>
      <translation>{value} 不能整除 {expected} 个头</translation>
    </message>
    <message>
      <source>{value} is more than the {expected} that there are</source>
      <translation>{value} 超过了已有的 {expected}</translation>
    </message>
    <message>
      <source>{value} is not above 0</source>
      <translation>{value} 不大于 0</translation>
    </message>
    <message>
      <source>{value} is not between 1 and the {maximum} tokens the model was trained for</source>
      <translation>{value} 不在 1 与模型训练长度 {maximum} 个词元之间</translation>
    </message>
    <message>
      <source>{value} is not between {minimum} and {maximum}</source>
      <translation>{value} 不在 {minimum} 与 {maximum} 之间</translation>
    </message>
    <message>
      <source>{value} is not in the vocabulary</source>
      <translation>{value} 不在词表中</translation>
    </message>
    <message>
      <source>{value} tokens are needed, but the context holds only {maximum}</source>
      <translation>需要 {value} 个词元，而上下文只能容纳 {maximum} 个</translation>
    </message>
    <message>
      <source>“properties” must be an object and “required” a list</source>
      <translation>“properties”必须是对象，“required”必须是列表</translation>
    </message>
    <message>
      <source>“required” names a property that is not described</source>
      <translation>“required”列出了没有描述的属性</translation>
    </message>
    <message>
      <source>“{code}”, which this version does not know</source>
      <translation>“{code}”（此版本不认识）</translation>
    </message>
    <message>
      <source>“{field}”</source>
      <translation>“{field}”</translation>
    </message>
    <message>
      <source>“{name}” cannot be the name of a model.</source>
      <translation>“{name}”不能用作模型名称。</translation>
    </message>
    <message>
      <source>“{value}” is not a type</source>
      <translation>“{value}”不是类型</translation>
    </message>
    <message>
      <source>“{value}” is not a usable name: only letters, digits, dots, - and _ are allowed.</source>
      <translation>“{value}”不能用作名称：只允许字母、数字、点、- 和 _。</translation>
    </message>
    <message>
      <source>“{value}” is not of the form HOST:PORT</source>
      <translation>“{value}”不是 HOST:PORT 的形式</translation>
    </message>
    <message>
      <source>“{value}” is not one of {choices}</source>
      <translation>“{value}”不是以下之一：{choices}</translation>
    </message>
    <message>
      <source>“{value}” is not supported</source>
      <translation>不支持“{value}”</translation>
    </message>
    <message>
      <source>△ tight</source>
      <translation>△ 勉强</translation>
    </message>
    <message>
      <source>✓ fits</source>
      <translation>✓ 适合</translation>
    </message>
    <message>
      <source>简体中文</source>
      <translation>简体中文</translation>
    </message>
  </context>
</TS>
