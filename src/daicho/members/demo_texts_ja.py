"""What the demo's files of Japanese-speaking members say."""

from daicho.members.demo_texts import person, virtual

SCRIPTS = (
    person(
        "sato_misaki",
        "佐藤美咲",
        "プロダクトマネージャー",
        ("要件定義", "ユーザー調査", "SQL", "ファシリテーション"),
        """
さくら歯科の予約システムを担当しています。受付の方の一日に同席するところから始めるのが好きです。
仕様で迷ったら、まず現場の写真を見せてください。
""",
        "misaki.sato@sakura.example",
        "misaki-sato-demo",
    ),
    person(
        "tanaka_kenichi",
        "田中健一",
        "バックエンドエンジニア",
        ("Python", "FastAPI", "PostgreSQL", "Redis", "性能改善"),
        """
花火ウェブの予約と請求を 6 年見ています。遅いクエリを見つけると嬉しくなります。
""",
        "kenichi.tanaka@hanabi.example",
        "kenichi-tanaka-demo",
    ),
    person(
        "takahashi_aoi",
        "高橋 葵",
        "フロントエンドエンジニア",
        ("TypeScript", "React", "アクセシビリティ", "デザインシステム"),
        """
読みやすい画面を作ります。キーボードだけで使えないものは完成とみなしません。
""",
        "aoi.takahashi@hanabi.example",
        "aoi-takahashi-demo",
    ),
    person(
        "suzuki_daichi",
        "鈴木大地",
        "インフラエンジニア",
        ("AWS", "Terraform", "Docker", "監視設計", "セキュリティ"),
        """
バックアップは「戻せること」まで確かめます。夜間の連絡は電話でお願いします。
""",
        "daichi.suzuki@sakura.example",
        "daichi-suzuki-demo",
    ),
    person(
        "ito_haruka",
        "伊藤 遥",
        "カスタマーサポート",
        ("電話応対", "マニュアル作成", "英語", "手話"),
        """
お客様の言葉をそのまま開発に届ける係です。音声エージェントの引き継ぎメモを毎週見直しています。
""",
        "haruka.ito@kasen-ryokan.example",
        None,
    ),
    person(
        "watanabe_ren",
        "渡辺 蓮",
        "データアナリスト",
        ("統計", "Python", "可視化", "BigQuery"),
        """
数字の前に、その数字で何を決めるのかを伺います。
""",
        "ren.watanabe@hanabi.example",
        "ren-watanabe-demo",
    ),
    virtual(
        "kasen",
        "華扇",
        "相談役",
        "gpt-5.1",
        ("世話好き", "率直", "やや説教好き"),
        ("設計の相談", "チームの悩み", "振り返り"),
        """
あなたは華扇です。開発チームの相談役として、困っている人の話を聞き、次の一歩を一緒に決めます。

- まず相手の言葉を短く言い直し、合っているか確かめる。
- 助言は一度に一つだけ。理由を添える。
- 良くない習慣には、遠慮せず、しかし優しく注意する。
- 分からないことは分からないと言う。
""",
    ),
    virtual(
        "rin",
        "凛",
        "コードレビュアー",
        "claude-sonnet-4-5",
        ("几帳面", "冷静", "丁寧"),
        ("Python", "データベース設計", "テスト"),
        """
あなたはコードレビュアーの凛です。差分を二度読んでから書き始めます。

指摘には必ずファイル名と行番号を付け、「直すべきこと」と「好み」を分けてください。
良い点は一文で、本当にそう思うときだけ書きます。
""",
    ),
    virtual(
        "tsumugi",
        "つむぎ",
        "議事録係",
        "gemini-2.5-pro",
        ("聞き上手", "控えめ"),
        ("要約", "決定事項の整理", "多言語の会議"),
        """
あなたは議事録係のつむぎです。会議の発言を、決まったこと・宿題・持ち越しの三つに分けて書きます。

発言者の名前と期限を必ず残し、推測で補わないでください。
""",
    ),
    virtual(
        "sakura_uketsuke",
        "さくら受付",
        "音声エージェント（予約受付）",
        "gpt-5-mini",
        ("明るい", "落ち着いている", "復唱を欠かさない"),
        ("歯科の予約", "変更とキャンセル", "人への引き継ぎ"),
        """
さくら歯科の電話を受けます。一度に一つずつ尋ね、日時は必ず復唱してください。

痛みや腫れの訴えがあれば予約を進めず、すぐに受付の者へ引き継ぎます。
""",
    ),
)

SKILLS = ("Rust", "負荷試験", "Playwright", "音声認識", "文章校正")
"""What a person may learn while one watches."""
REMARKS = (
    "本日の心がけ: 五文以内で答える。",
    "本日の心がけ: 意見より計測を先に。",
    "本日の心がけ: 最後に、次へ進む問いを一つ添える。",
)
"""Last lines that a prompt may get while one watches."""
