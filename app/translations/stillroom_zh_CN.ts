<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="zh_CN" sourcelanguage="en">
  <context>
    <name>Stillroom</name>
    <message>
      <source>&amp;Chat</source>
      <translation>对话(&amp;C)</translation>
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
      <source>4 bits, 6 where it matters most: closer, a little slower.</source>
      <translation>4 位，关键处 6 位：更接近原模型，稍慢。</translation>
    </message>
    <message>
      <source>4 bits, blocks of 128</source>
      <translation>4 位，每块 128 个权重</translation>
    </message>
    <message>
      <source>4 bits, blocks of 32</source>
      <translation>4 位，每块 32 个权重</translation>
    </message>
    <message>
      <source>4 bits, blocks of 32, scales searched (usual)</source>
      <translation>4 位，每块 32 个权重，搜索缩放系数（常用）</translation>
    </message>
    <message>
      <source>4-bit blocks everywhere, embeddings and LM head too.</source>
      <translation>全部使用 4 位分块，包括嵌入层和 LM head。</translation>
    </message>
    <message>
      <source>4-bit blocks, embeddings and LM head</source>
      <translation>4 位分块，含嵌入层和 LM 头</translation>
    </message>
    <message>
      <source>6 bits: hardly told from the original.</source>
      <translation>6 位：与原模型几乎没有差别。</translation>
    </message>
    <message>
      <source>8 bits: next to nothing is lost, twice the size.</source>
      <translation>8 位：几乎没有损失，大小约为两倍。</translation>
    </message>
    <message>
      <source>A demonstration: it shows how everything works and knows little.</source>
      <translation>演示用模型：展示整个流程，所知有限。</translation>
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
      <source>Access token</source>
      <translation>访问令牌</translation>
    </message>
    <message>
      <source>Active parameters</source>
      <translation>激活参数</translation>
    </message>
    <message>
      <source>Address of a mirror of the hub; empty for the official one.</source>
      <translation>模型库镜像的地址；留空则用官方地址。</translation>
    </message>
    <message>
      <source>Address of an OpenAI-compatible server to run models on.</source>
      <translation>用来运行模型的 OpenAI 兼容服务器的地址。</translation>
    </message>
    <message>
      <source>Another Stillroom runs these downloads.</source>
      <translation>这些下载由另一个 Stillroom 窗口执行。</translation>
    </message>
    <message>
      <source>Another answer</source>
      <translation>再答一次</translation>
    </message>
    <message>
      <source>Answer</source>
      <translation>回答</translation>
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
      <source>As a picture, a table or data</source>
      <translation>保存为图片、表格或数据</translation>
    </message>
    <message>
      <source>As fast as planned</source>
      <translation>与计划一样快</translation>
    </message>
    <message>
      <source>As seen on {0}: the hub cannot be reached.</source>
      <translation>{0} 时的内容：现在无法连接模型库。</translation>
    </message>
    <message>
      <source>Ask before opening links</source>
      <translation>打开链接前询问</translation>
    </message>
    <message>
      <source>Ask something</source>
      <translation>输入问题</translation>
    </message>
    <message>
      <source>Ask the hub for all variants and the makers' notes</source>
      <translation>向模型库查询全部量化版本和作者说明</translation>
    </message>
    <message>
      <source>Asking the hub …</source>
      <translation>正在查询模型库 …</translation>
    </message>
    <message>
      <source>Attach files</source>
      <translation>附加文件</translation>
    </message>
    <message>
      <source>Back to the default of {0}</source>
      <translation>恢复“{0}”的默认值</translation>
    </message>
    <message>
      <source>Bars: predicted. Dots: measured.</source>
      <translation>条：预测。点：实测。</translation>
    </message>
    <message>
      <source>Bars: predicted. Dots: measured. {0} runs: median error {1} %, {2} % inside.</source>
      <translation>条：预测。点：实测。{0} 次运行：误差中位数 {1} %，{2} % 在区间内。</translation>
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
      <source>Before the others</source>
      <translation>排到最前</translation>
    </message>
    <message>
      <source>Bits per weight</source>
      <translation>每权重位数</translation>
    </message>
    <message>
      <source>Branch after</source>
      <translation>后一分支</translation>
    </message>
    <message>
      <source>Branch before</source>
      <translation>前一分支</translation>
    </message>
    <message>
      <source>Browse models</source>
      <translation>浏览模型</translation>
    </message>
    <message>
      <source>CPU threads</source>
      <translation>CPU 线程数</translation>
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
      <source>Catalog</source>
      <translation>目录</translation>
    </message>
    <message>
      <source>Changed last</source>
      <translation>最近更新</translation>
    </message>
    <message>
      <source>Chat</source>
      <translation>对话</translation>
    </message>
    <message>
      <source>Chat with this model</source>
      <translation>与此模型对话</translation>
    </message>
    <message>
      <source>Checking</source>
      <translation>正在校验</translation>
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
      <source>Choose model</source>
      <translation>选择模型</translation>
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
      <source>Command</source>
      <translation>命令</translation>
    </message>
    <message>
      <source>Command palette</source>
      <translation>命令面板</translation>
    </message>
    <message>
      <source>Compare every byte with the checksums</source>
      <translation>用校验和核对每个字节</translation>
    </message>
    <message>
      <source>Context</source>
      <translation>上下文</translation>
    </message>
    <message>
      <source>Context used</source>
      <translation>已用上下文</translation>
    </message>
    <message>
      <source>Continue answer</source>
      <translation>继续回答</translation>
    </message>
    <message>
      <source>Conversation</source>
      <translation>对话内容</translation>
    </message>
    <message>
      <source>Conversation deleted</source>
      <translation>对话已删除</translation>
    </message>
    <message>
      <source>Conversations</source>
      <translation>对话列表</translation>
    </message>
    <message>
      <source>Copied</source>
      <translation>已复制</translation>
    </message>
    <message>
      <source>Copy</source>
      <translation>复制</translation>
    </message>
    <message>
      <source>Copy message</source>
      <translation>复制消息</translation>
    </message>
    <message>
      <source>Copying</source>
      <translation>正在复制</translation>
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
      <source>Delete from here</source>
      <translation>从此处删除</translation>
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
      <source>Distilled from</source>
      <translation>蒸馏自</translation>
    </message>
    <message>
      <source>Download</source>
      <translation>下载</translation>
    </message>
    <message>
      <source>Download limit</source>
      <translation>下载限速</translation>
    </message>
    <message>
      <source>Download queue</source>
      <translation>下载队列</translation>
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
      <source>Earlier</source>
      <translation>更早</translation>
    </message>
    <message>
      <source>Edit and ask again</source>
      <translation>编辑后重新提问</translation>
    </message>
    <message>
      <source>Editing an earlier message; sending makes a new branch</source>
      <translation>正在编辑之前的消息；发送后会产生新分支</translation>
    </message>
    <message>
      <source>Engine</source>
      <translation>引擎</translation>
    </message>
    <message>
      <source>English</source>
      <translation>English</translation>
    </message>
    <message>
      <source>Enter sends</source>
      <translation>按回车发送</translation>
    </message>
    <message>
      <source>Enter sends, Shift+Enter breaks the line; off: the reverse.</source>
      <translation>回车发送，Shift+回车换行；关闭则相反。</translation>
    </message>
    <message>
      <source>Expected</source>
      <translation>预计</translation>
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
      <source>Export …</source>
      <translation>导出…</translation>
    </message>
    <message>
      <source>Exported to {0}</source>
      <translation>已导出到 {0}</translation>
    </message>
    <message>
      <source>Fetch the usual variant from the hub, check it, install it</source>
      <translation>从模型库获取常用版本，校验后安装</translation>
    </message>
    <message>
      <source>File</source>
      <translation>文件</translation>
    </message>
    <message>
      <source>Filters</source>
      <translation>筛选</translation>
    </message>
    <message>
      <source>Folder (empty for none)</source>
      <translation>文件夹（留空表示无）</translation>
    </message>
    <message>
      <source>From the hub</source>
      <translation>来自模型库</translation>
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
      <source>Get more models …</source>
      <translation>获取更多模型…</translation>
    </message>
    <message>
      <source>Get the starter model</source>
      <translation>获取入门模型</translation>
    </message>
    <message>
      <source>Here</source>
      <translation>本机</translation>
    </message>
    <message>
      <source>How this speed comes about</source>
      <translation>速度的由来</translation>
    </message>
    <message>
      <source>Hub address</source>
      <translation>模型库地址</translation>
    </message>
    <message>
      <source>Import</source>
      <translation>导入</translation>
    </message>
    <message>
      <source>Import conversation</source>
      <translation>导入对话</translation>
    </message>
    <message>
      <source>In the queue</source>
      <translation>排队中</translation>
    </message>
    <message>
      <source>In the system's keyring where there is one</source>
      <translation>保存在系统密钥环中（如有）</translation>
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
      <source>Installing</source>
      <translation>正在安装</translation>
    </message>
    <message>
      <source>Instructions for every answer (system prompt)</source>
      <translation>每次回答都遵循的指示（系统提示词）</translation>
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
      <source>Keep token</source>
      <translation>保存令牌</translation>
    </message>
    <message>
      <source>Kernel</source>
      <translation>内核</translation>
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
      <source>Language of the window, from the next start on.</source>
      <translation>窗口的语言，下次启动时生效。</translation>
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
      <source>Licence</source>
      <translation>许可证</translation>
    </message>
    <message>
      <source>Light, dark, or as the system.</source>
      <translation>浅色、深色或跟随系统。</translation>
    </message>
    <message>
      <source>Line: memory's limit. Bars: predicted. Dots: measured. Dotted: reading speed.</source>
      <translation>线：内存的极限。条：预测。点：实测。虚线：阅读速度。</translation>
    </message>
    <message>
      <source>Line: what is read in a second. Dashed: what a model reads for each token.</source>
      <translation>线：每秒读取量。虚线：模型每个词元读取的量。</translation>
    </message>
    <message>
      <source>Links open in the web browser after a question.</source>
      <translation>询问之后才在浏览器中打开链接。</translation>
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
      <source>Looking at the last answer …</source>
      <translation>正在查看上一个回答 …</translation>
    </message>
    <message>
      <source>Matching commands</source>
      <translation>匹配的命令</translation>
    </message>
    <message>
      <source>Measure this machine</source>
      <translation>测量本机</translation>
    </message>
    <message>
      <source>Measure what it cost afterwards</source>
      <translation>完成后测量质量损失</translation>
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
      <source>Measured {0}</source>
      <translation>测量于 {0}</translation>
    </message>
    <message>
      <source>Measuring</source>
      <translation>正在测量</translation>
    </message>
    <message>
      <source>Megabytes per second for all downloads; 0 is no limit.</source>
      <translation>所有下载合计每秒兆字节数；0 表示不限速。</translation>
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
      <source>Min p</source>
      <translation>Min p</translation>
    </message>
    <message>
      <source>Model</source>
      <translation>模型</translation>
    </message>
    <message>
      <source>Models</source>
      <translation>模型</translation>
    </message>
    <message>
      <source>Models folder</source>
      <translation>模型文件夹</translation>
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
      <source>Move to folder</source>
      <translation>移到文件夹</translation>
    </message>
    <message>
      <source>Move to folder …</source>
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
      <source>Newest</source>
      <translation>最新发布</translation>
    </message>
    <message>
      <source>Next pane</source>
      <translation>下一窗格</translation>
    </message>
    <message>
      <source>No answer with a predicted speed yet.</source>
      <translation>还没有带预测速度的回答。</translation>
    </message>
    <message>
      <source>No conversations yet</source>
      <translation>还没有对话</translation>
    </message>
    <message>
      <source>No gated models</source>
      <translation>不含受限模型</translation>
    </message>
    <message>
      <source>No model</source>
      <translation>没有模型</translation>
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
      <source>Not chosen</source>
      <translation>未采用</translation>
    </message>
    <message>
      <source>Not loaded; loads with the first message</source>
      <translation>未加载；发送第一条消息时加载</translation>
    </message>
    <message>
      <source>Not measured yet. Predictions need one measurement of about a minute.</source>
      <translation>尚未测量。预测速度需要测量一次，约一分钟。</translation>
    </message>
    <message>
      <source>Nothing found</source>
      <translation>没有找到</translation>
    </message>
    <message>
      <source>Nothing here matches. Enter asks the hub.</source>
      <translation>这里没有匹配项。按回车键查询模型库。</translation>
    </message>
    <message>
      <source>Nothing on the hub matches.</source>
      <translation>模型库中没有匹配项。</translation>
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
      <source>On this machine</source>
      <translation>在本机上</translation>
    </message>
    <message>
      <source>Only what fits here</source>
      <translation>只显示本机放得下的</translation>
    </message>
    <message>
      <source>Open link</source>
      <translation>打开链接</translation>
    </message>
    <message>
      <source>Open the page</source>
      <translation>打开网页</translation>
    </message>
    <message>
      <source>Open this address in the web browser?</source>
      <translation>在浏览器中打开这个地址吗？</translation>
    </message>
    <message>
      <source>Order</source>
      <translation>排序</translation>
    </message>
    <message>
      <source>Order and variant are the hub's.</source>
      <translation>排序和量化版本只作用于模型库的结果。</translation>
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
      <source>Pinned</source>
      <translation>已置顶</translation>
    </message>
    <message>
      <source>Placement</source>
      <translation>放置方式</translation>
    </message>
    <message>
      <source>Plan</source>
      <translation>方案</translation>
    </message>
    <message>
      <source>Planning …</source>
      <translation>正在规划…</translation>
    </message>
    <message>
      <source>Plot</source>
      <translation>图</translation>
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
      <source>Predicted from</source>
      <translation>预测下限</translation>
    </message>
    <message>
      <source>Predicted to</source>
      <translation>预测上限</translation>
    </message>
    <message>
      <source>Prefill</source>
      <translation>预填充</translation>
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
      <source>Progress</source>
      <translation>进度</translation>
    </message>
    <message>
      <source>Progress of {0}</source>
      <translation>{0} 的进度</translation>
    </message>
    <message>
      <source>Promised and measured</source>
      <translation>预测与实测</translation>
    </message>
    <message>
      <source>Put {0} before the others</source>
      <translation>让 {0} 先下载</translation>
    </message>
    <message>
      <source>Q4_0 (usual)</source>
      <translation>Q4_0（常用）</translation>
    </message>
    <message>
      <source>Q4_0, scales searched</source>
      <translation>Q4_0，搜索缩放系数</translation>
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
      <source>Quantize here: fetch the official weights and make the 4-bit file yourself.</source>
      <translation>在本机量化：下载官方权重，自己生成 4 位文件。</translation>
    </message>
    <message>
      <source>Quantize {0}</source>
      <translation>量化 {0}</translation>
    </message>
    <message>
      <source>Quantize …</source>
      <translation>量化 …</translation>
    </message>
    <message>
      <source>Quantizing</source>
      <translation>正在量化</translation>
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
      <source>Read for each token</source>
      <translation>每词元读取</translation>
    </message>
    <message>
      <source>Read rate</source>
      <translation>读取速率</translation>
    </message>
    <message>
      <source>Reading the prompt</source>
      <translation>正在读取提示词</translation>
    </message>
    <message>
      <source>Recipe</source>
      <translation>方案</translation>
    </message>
    <message>
      <source>Recommended here: {0}</source>
      <translation>本机推荐：{0}</translation>
    </message>
    <message>
      <source>Recommended values</source>
      <translation>推荐值</translation>
    </message>
    <message>
      <source>Refuse every request, even one that is asked for.</source>
      <translation>拒绝一切网络请求，即使是主动发起的。</translation>
    </message>
    <message>
      <source>Remote engine</source>
      <translation>远程引擎</translation>
    </message>
    <message>
      <source>Remove</source>
      <translation>移除</translation>
    </message>
    <message>
      <source>Remove {0}</source>
      <translation>移除 {0}</translation>
    </message>
    <message>
      <source>Rename</source>
      <translation>重命名</translation>
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
      <source>Resume</source>
      <translation>继续</translation>
    </message>
    <message>
      <source>Resume {0}</source>
      <translation>继续 {0}</translation>
    </message>
    <message>
      <source>Roof</source>
      <translation>上限</translation>
    </message>
    <message>
      <source>Roofline</source>
      <translation>屋顶线</translation>
    </message>
    <message>
      <source>Runs</source>
      <translation>运行记录</translation>
    </message>
    <message>
      <source>Save</source>
      <translation>保存</translation>
    </message>
    <message>
      <source>Save …</source>
      <translation>保存 …</translation>
    </message>
    <message>
      <source>Search conversations</source>
      <translation>搜索对话</translation>
    </message>
    <message>
      <source>Search everything said</source>
      <translation>搜索所有对话内容</translation>
    </message>
    <message>
      <source>Search here</source>
      <translation>在此搜索</translation>
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
      <source>Search; Enter asks the hub</source>
      <translation>搜索；按回车查询模型库</translation>
    </message>
    <message>
      <source>Send</source>
      <translation>发送</translation>
    </message>
    <message>
      <source>Server port</source>
      <translation>服务器端口</translation>
    </message>
    <message>
      <source>Settings</source>
      <translation>设置</translation>
    </message>
    <message>
      <source>Show</source>
      <translation>查看</translation>
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
      <source>Show the side panel</source>
      <translation>显示侧栏</translation>
    </message>
    <message>
      <source>Show the whole of what a model thinks, not one line.</source>
      <translation>显示模型的全部思考，而不是一行。</translation>
    </message>
    <message>
      <source>Show {0}</source>
      <translation>查看 {0}</translation>
    </message>
    <message>
      <source>Shown once this machine is measured.</source>
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
      <source>Size of all text, in percent.</source>
      <translation>所有文字的大小，百分比。</translation>
    </message>
    <message>
      <source>Size on disk</source>
      <translation>磁盘占用</translation>
    </message>
    <message>
      <source>Slightly closer to the original, takes longer to make.</source>
      <translation>略接近原模型，生成时间较长。</translation>
    </message>
    <message>
      <source>SmolLM2 135M needs about 100 MB and shows how everything works.</source>
      <translation>SmolLM2 135M 约需 100 MB，可展示整个流程。</translation>
    </message>
    <message>
      <source>Something went wrong</source>
      <translation>出错了</translation>
    </message>
    <message>
      <source>Speed</source>
      <translation>速度</translation>
    </message>
    <message>
      <source>Speed is predicted once this machine is measured (page Speed).</source>
      <translation>测量本机后即可预测速度（见“速度”页）。</translation>
    </message>
    <message>
      <source>Speed over time</source>
      <translation>速度变化</translation>
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
      <source>Table: peak memory as a plan promises it. Plot: KV cache of one sequence.</source>
      <translation>表：计划承诺的内存峰值。图：单个序列的 KV 缓存。</translation>
    </message>
    <message>
      <source>Target</source>
      <translation>目标引擎</translation>
    </message>
    <message>
      <source>Tell when a long answer or a download is finished and the window is not in front.</source>
      <translation>当窗口不在前台时，长回答或下载完成后发出通知。</translation>
    </message>
    <message>
      <source>Temperature</source>
      <translation>温度</translation>
    </message>
    <message>
      <source>Text size</source>
      <translation>文字大小</translation>
    </message>
    <message>
      <source>The closest of the ONNX recipes, takes longer to make.</source>
      <translation>ONNX 方案中最接近原模型，生成时间较长。</translation>
    </message>
    <message>
      <source>The fastest; small losses.</source>
      <translation>速度最快；损失很小。</translation>
    </message>
    <message>
      <source>The history file is damaged; the next start repairs it from a backup</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The history was damaged and has been repaired</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The makers' notes</source>
      <translation>作者说明</translation>
    </message>
    <message>
      <source>The model chosen when the window opens.</source>
      <translation>窗口打开时选择的模型。</translation>
    </message>
    <message>
      <source>The models stay</source>
      <translation>模型会保留</translation>
    </message>
    <message>
      <source>The owner grants access on request: agree on the hub's page, then enter a token.</source>
      <translation>所有者按申请授权：先在模型库网页上同意条款，再输入令牌。</translation>
    </message>
    <message>
      <source>The plan has changed since loading</source>
      <translation>加载之后方案已改变</translation>
    </message>
    <message>
      <source>The smallest, with the largest losses.</source>
      <translation>体积最小，损失最大。</translation>
    </message>
    <message>
      <source>Theme</source>
      <translation>主题</translation>
    </message>
    <message>
      <source>Thinking</source>
      <translation>思考</translation>
    </message>
    <message>
      <source>Thinking, whole text</source>
      <translation>思考的全文</translation>
    </message>
    <message>
      <source>This conversation</source>
      <translation>本次对话</translation>
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
      <source>Throw away the {0} that are here?</source>
      <translation>丢弃已下载的 {0}？</translation>
    </message>
    <message>
      <source>Time to first token</source>
      <translation>首个词元用时</translation>
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
      <source>Tokens of context to plan for; 0 lets the plan decide.</source>
      <translation>规划的上下文词元数；0 表示由方案决定。</translation>
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
      <source>Trending</source>
      <translation>热门</translation>
    </message>
    <message>
      <source>Type what you want to do</source>
      <translation>输入想做的事</translation>
    </message>
    <message>
      <source>Undo</source>
      <translation>撤销</translation>
    </message>
    <message>
      <source>Unfold thinking</source>
      <translation>展开思考</translation>
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
      <source>Untitled</source>
      <translation>无标题</translation>
    </message>
    <message>
      <source>Up to {0} B parameters</source>
      <translation>不超过 {0} B 参数</translation>
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
      <source>Verified: every byte is as it was installed.</source>
      <translation>校验通过：每个字节都与安装时一致。</translation>
    </message>
    <message>
      <source>Verify</source>
      <translation>校验</translation>
    </message>
    <message>
      <source>Waiting for the network</source>
      <translation>等待网络</translation>
    </message>
    <message>
      <source>What is the capital of France? Answer in one sentence.</source>
      <translation>法国的首都是哪里？用一句话回答。</translation>
    </message>
    <message>
      <source>What the hub said last</source>
      <translation>模型库上次的回答</translation>
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
      <source>Where models are kept; empty for the usual place.</source>
      <translation>模型存放的位置；留空则用默认位置。</translation>
    </message>
    <message>
      <source>Where the LM head goes when a model is loaded.</source>
      <translation>加载模型时 LM 头放在哪里。</translation>
    </message>
    <message>
      <source>Where the model goes</source>
      <translation>模型的放置</translation>
    </message>
    <message>
      <source>Whether the panel with model and plan is open.</source>
      <translation>模型与方案的侧栏是否打开。</translation>
    </message>
    <message>
      <source>Which engine runs a model that several can run.</source>
      <translation>多个引擎都能运行时用哪一个。</translation>
    </message>
    <message>
      <source>Why this speed</source>
      <translation>速度的由来</translation>
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
      <source>Work in progress</source>
      <translation>进行中的工作</translation>
    </message>
    <message>
      <source>Working out the plan …</source>
      <translation>正在计算方案…</translation>
    </message>
    <message>
      <source>Working set</source>
      <translation>工作集</translation>
    </message>
    <message>
      <source>Working …</source>
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
      <source>about {0} more</source>
      <translation>另需约 {0}</translation>
    </message>
    <message>
      <source>about {0} tokens</source>
      <translation>约 {0} 词元</translation>
    </message>
    <message>
      <source>as the system</source>
      <translation>跟随系统</translation>
    </message>
    <message>
      <source>asks for agreement on the hub</source>
      <translation>需要在模型库上同意条款</translation>
    </message>
    <message>
      <source>automatic</source>
      <translation>自动</translation>
    </message>
    <message>
      <source>blocks</source>
      <translation>层</translation>
    </message>
    <message>
      <source>bytes read for each token</source>
      <translation>每词元读取的字节</translation>
    </message>
    <message>
      <source>code</source>
      <translation>代码</translation>
    </message>
    <message>
      <source>compute buffers</source>
      <translation>计算缓冲区</translation>
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
      <source>does not fit</source>
      <translation>放不下</translation>
    </message>
    <message>
      <source>embeddings</source>
      <translation>嵌入层</translation>
    </message>
    <message>
      <source>first token after {0}</source>
      <translation>首个词元 {0}</translation>
    </message>
    <message>
      <source>first token {0}</source>
      <translation>首个词元 {0}</translation>
    </message>
    <message>
      <source>fits</source>
      <translation>适合</translation>
    </message>
    <message>
      <source>folded</source>
      <translation>已折叠</translation>
    </message>
    <message>
      <source>full: LM head with the blocks</source>
      <translation>完整：LM 头与各层一起</translation>
    </message>
    <message>
      <source>image</source>
      <translation>图片</translation>
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
      <source>llama.cpp (GGUF): any CPU or GPU</source>
      <translation>llama.cpp（GGUF）：任意 CPU 或 GPU</translation>
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
      <source>prefill {0} tok/s</source>
      <translation>预填充 {0} tok/s</translation>
    </message>
    <message>
      <source>program</source>
      <translation>程序</translation>
    </message>
    <message>
      <source>run</source>
      <translation>运行</translation>
    </message>
    <message>
      <source>split: LM head on CPU</source>
      <translation>拆分：LM 头在 CPU</translation>
    </message>
    <message>
      <source>stopped before its end</source>
      <translation>未答完即停止</translation>
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
      <source>unfolded</source>
      <translation>已展开</translation>
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
      <source>working set</source>
      <translation>工作集</translation>
    </message>
    <message>
      <source>{0} % no measurement explains</source>
      <translation>{0} % 没有测量能解释</translation>
    </message>
    <message>
      <source>{0} (usual)</source>
      <translation>{0}（常用）</translation>
    </message>
    <message>
      <source>{0} blocks</source>
      <translation>{0} 层</translation>
    </message>
    <message>
      <source>{0} cannot be read; it may be damaged or locked.</source>
      <translation>{0} 无法读取，可能已损坏或被锁定。</translation>
    </message>
    <message>
      <source>{0} downloads</source>
      <translation>{0} 个下载</translation>
    </message>
    <message>
      <source>{0} h ago</source>
      <translation>{0} 小时前</translation>
    </message>
    <message>
      <source>{0} holds no text.</source>
      <translation>{0} 中没有文字。</translation>
    </message>
    <message>
      <source>{0} is larger than 20 MB.</source>
      <translation>{0} 超过 20 MB。</translation>
    </message>
    <message>
      <source>{0} is not there any more.</source>
      <translation>{0} 已不存在。</translation>
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
      <source>{0} of {1}</source>
      <translation>{0}，共 {1}</translation>
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
      <translation>{0} 在本机上运行。你写的内容不会离开本机。</translation>
    </message>
    <message>
      <source>{0} times slower than planned</source>
      <translation>比计划慢 {0} 倍</translation>
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
      <source>△ tight</source>
      <translation>△ 勉强</translation>
    </message>
    <message>
      <source>✓ fits</source>
      <translation>✓ 适合</translation>
    </message>
    <message>
      <source>✕ does not fit</source>
      <translation>✕ 放不下</translation>
    </message>
    <message>
      <source>简体中文</source>
      <translation>简体中文</translation>
    </message>
  </context>
</TS>
