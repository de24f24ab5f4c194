"""What the demo's Japanese-speaking guild asks, answers, deletes and listens to."""

from collections.abc import Mapping

from daicho.guilds.demo_texts import (
    ARCHIVED,
    CLOSED,
    GENERAL,
    HIGH,
    IN_PROGRESS,
    LOW,
    MEDIUM,
    MODERATION,
    OPEN,
    OTHER,
    TECHNICAL,
    URGENT,
    Details,
    Script,
    Song,
    Texts,
)
from daicho.guilds.enums import LogType

TICKETS = (
    Script("ログインできません", "サーバーに入ろうとすると「接続に失敗しました」と出ます。",
           TECHNICAL, HIGH, OPEN, """
u 昨日の夜までは問題ありませんでした。
s チケットを受け付けました。担当者が確認します。
u 再起動も試しましたが、変わりません。
"""),
    Script("荒らしが来ています", "#雑談 で同じ画像を連投している人がいます。",
           MODERATION, URGENT, IN_PROGRESS, """
u 今も続いています。早めの対応をお願いします。
s モデレーターが割り当てられました。
m ご連絡ありがとうございます。該当者を BAN し、投稿を削除しました。
u 助かりました。別アカウントらしき人が今入りました。
m 確認します。しばらく招待リンクを止めますね。
"""),
    Script("自己紹介チャンネルの場所が分かりません", "初めて参加しました。よろしくお願いします。",
           GENERAL, LOW, OPEN, """
u ロールを付けるには自己紹介が必要とのことですが、書く場所が見つかりません。
"""),
    Script("フィルターの誤検知", "地名を書いただけでミュートされました。",
           MODERATION, MEDIUM, CLOSED, """
u 「つきしろ」と書いたらミュートになりました。
m 誤検知でした。解除し、例外リストに追加しました。ご迷惑をおかけしました。
u ありがとうございます。確認できました。
s チケットを完了にしました。
"""),
    Script("イベント通知が届きません", "通知ロールは付いています。", TECHNICAL, MEDIUM, IN_PROGRESS, """
u 先週の読書会も、今週の配信も通知がありませんでした。
m スマートフォンの通知設定は「@メンションのみ」になっていますか。
u はい、そうなっています。
m こちらで再現できました。ボット側の不具合のようです。調べます。
"""),
    Script("花火大会オフ会の告知をお願いします", "8 月の第 2 土曜日に予定しています。", OTHER, LOW, OPEN, """
u #お知らせ に載せていただけますか。文面は用意してあります。
m 内容を確認します。文面をここに貼ってください。
u 「8 月 8 日 18 時、隅田川にて。参加は自由です」
"""),
    Script("レベルが上がってもロールが付きません", "更新後から、誰にも付いていないようです。",
           TECHNICAL, URGENT, OPEN, """
u レベル 10 に上がった人が 6 人いますが、誰にもロールがありません。
s 優先度が「緊急」に変更されました。
"""),
    Script("音楽ボットの音が途切れます", "30 秒に 1 回ほど音が飛びます。", TECHNICAL, MEDIUM, OPEN, """
u ほかの人も同じとのことです。リージョンの問題でしょうか。
"""),
    Script("読み上げの声を変えたい", "設定画面に項目が見当たりません。", GENERAL, LOW, CLOSED, """
u 以前は !voice で変えられました。
m 今は /voice に変わりました。候補から選べます。
u できました。ありがとうございます。
s チケットを完了にしました。
"""),
    Script("DM での嫌がらせについて", "スクリーンショットがあります。", MODERATION, HIGH, CLOSED, """
u やめてほしいと伝えたのですが、続いています。
m お辛かったですね。画像はこのチャンネルに送ってください。モデレーターしか見られません。
u 送りました。
m 確認し、サーバーから退出してもらいました。ほかで続くようでしたらすぐに教えてください。
s チケットを完了にしました。
"""),
    Script("名前の変更", "ニックネームの漢字を直してください。", GENERAL, LOW, ARCHIVED, """
u 「高橋葵」の間に空白を入れたいです。
m 変更しました。
s チケットを保管しました。
"""),
    Script("コラボ配信の申し込み", "さくら歯科さんのサーバーと合同で行いたいです。", OTHER, MEDIUM, ARCHIVED, """
u 先方の了承は得ています。
m 承りました。日程はイベント担当から連絡します。
s チケットを保管しました。
"""),
    Script("絵文字の追加希望", "スタンプ「了解です」を追加してほしいです。", OTHER, LOW, CLOSED, """
u 画像は 128 px の PNG です。
m 追加しました。:ryokai: で使えます。
s チケットを完了にしました。
"""),
)  # fmt: skip
LIVE = (
    Script("マイクの音が届きません", "聞くことはできます。", TECHNICAL, MEDIUM, OPEN, """
u 設定では入力レベルが動いています。
m サーバーのミュートが残っていました。外したので、もう一度お試しください。
u 話せました。ありがとうございます。
"""),
    Script("スパムの報告", "#質問 に宣伝が投稿されています。", MODERATION, HIGH, OPEN, """
u 3 件続けて投稿されています。
m 削除し、投稿者をタイムアウトにしました。
"""),
    Script("過去の配信はどこで見られますか", "先月の読書会を見たいです。", GENERAL, LOW, OPEN, """
u #資料 のリンクが切れていました。
m リンクを直しました。ご指摘ありがとうございます。
"""),
)  # fmt: skip
LOGS: Mapping[LogType, tuple[tuple[str, Details | None], ...]] = {
    LogType.MESSAGE_DELETE: (
        ("メッセージが削除されました", {"content": "無料でもらえます nitro-gift.example", "attachments": []}),
        ("メッセージが削除されました", {"content": "すみません、誤爆です", "attachments": ["ねこ.png"]}),
    ),
    LogType.MESSAGE_EDIT: (
        ("メッセージが編集されました", {"before": "集合は 7 時です", "after": "集合は 19 時です"}),
    ),
    LogType.MEMBER_JOIN: (("メンバーが参加しました", {"invite": "hanabi", "account_age_days": 230}),),
    LogType.MEMBER_LEAVE: (("メンバーが退出しました", {"roles": ["読書会"], "days_here": 61}),),
    LogType.MEMBER_BAN: (("宣伝のため BAN", {"reason": "宣伝", "delete_days": 1}),),
    LogType.MEMBER_UNBAN: (("異議申し立てにより BAN 解除", {"reason": "回線の共有"}),),
    LogType.MEMBER_KICK: (("キックされました", {"reason": "警告 3 回", "warnings": 3}),),
    LogType.MEMBER_TIMEOUT: (("10 分間のタイムアウト", {"seconds": 600, "reason": "連投"}),),
    LogType.ROLE_ADD: (("ロールを付与: レベル 10", {"role": "レベル 10"}),),
    LogType.ROLE_REMOVE: (("ロールを解除: イベント担当", {"role": "イベント担当"}),),
    LogType.CHANNEL_CREATE: (("チャンネルを作成: ticket-0042", {"name": "ticket-0042", "kind": "text"}),),
    LogType.CHANNEL_DELETE: (("チャンネルを削除: 旧イベント", None),),
    LogType.SYSTEM_EVENT: (
        ("ボットが再起動しました", {"version": "3.2.0", "shards": 2, "latency_ms": 38.2}),
        ("コマンド一覧を同期しました", None),
    ),
}
SONGS = (
    Song("月白の宿", "華扇", 251),
    Song("夕立のあとで", "北タクシー楽団", 224),
    Song("台帳の余白", "佐藤美咲", 196),
    Song("夜汽車、海へ (ライブ)", "くじら堂", 342),
    Song("作業用 雨の音 1 時間", "眠りの音", 3_600),
    Song("線香花火", "花火グループ", 207),
    Song("三時のおやつ", "さくら三重奏", 148),
    Song("港の灯", "高橋 葵", 233),
)
TEXTS = Texts(TICKETS, LIVE, LOGS, SONGS)
