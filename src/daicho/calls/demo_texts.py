"""The demo's conversations: their shape, and those in English."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Script:
    """A conversation between a caller and an AI receptionist.

    Attributes:
        client: whose receptionist it is.
        lines: state, role and text, a line each. ``{name}``, ``{day}``, ``{time}``, ``{people}`` and
            ``{ref}`` stand for what differs from call to call.
        summary: what the person is told to whom the call is handed over; None where it is not.
    """

    client: str
    lines: str
    summary: str | None = None


SCRIPTS = (
    Script(
        "maple-dental",
        """
        greeting  ai    Maple Dental, this is the automated receptionist. How can I help?
        inquiry   user  Hi, I need to see someone about a toothache. It started on the weekend.
        identify  ai    I'm sorry to hear that. May I have your name, please?
        identify  user  It's {name}.
        inquiry   ai    Thank you, {name}. Is there any swelling, or pain that keeps you awake?
        inquiry   user  No swelling. It mostly hurts with cold drinks.
        booking   ai    Then {day} at {time} would be our next free slot. Does that work?
        booking   user  {time} is fine, thanks.
        confirm   ai    You're booked for {day} at {time}. Please come ten minutes early for the forms.
        closing   user  Will do. Bye!
        closing   ai    Take care, {name}. Goodbye.
        """,
    ),
    Script(
        "maple-dental",
        """
        greeting  ai    Maple Dental, this is the automated receptionist. How can I help?
        inquiry   user  I got a bill for a crown, and my insurance says you never sent them anything.
        identify  ai    Let me look at that. What is the number at the top of the bill?
        identify  user  {ref}.
        inquiry   ai    I see the bill, dated three weeks ago. The claim is marked as sent, but not as answered.
        inquiry   user  Well, they told me they have nothing. I'm not paying twice.
        handover  ai    That's understandable. I'll put you through to our billing desk with these details.
        handover  user  Okay, thank you.
        """,
        "{name}, bill {ref} for a crown. The insurer says it never received the claim; ours is marked as sent. "
        "Please check before any reminder goes out.",
    ),
    Script(
        "trattoria-lume",
        """
        greeting  ai    Buonasera, Trattoria Lume! You're speaking with our booking assistant.
        booking   user  Hello! A table for {people} on {day}, please. Around {time}?
        booking   ai    For {people} on {day} I have {time} inside, or half an hour later on the terrace.
        booking   user  The terrace sounds lovely, but will it be warm enough?
        booking   ai    We have heaters and blankets. If it rains, we keep a table inside for you.
        booking   user  Perfect, then the terrace.
        identify  ai    Whose name may I put it under?
        identify  user  {name}. And one of us is celebrating a birthday.
        confirm   ai    Terrace, {day}, {people} people, {name}. The kitchen will know about the birthday 🎂
        closing   user  You're wonderful, thanks!
        closing   ai    A presto!
        """,
    ),
    Script(
        "trattoria-lume",
        """
        greeting  ai    Buonasera, Trattoria Lume! You're speaking with our booking assistant.
        inquiry   user  I have to cancel for tonight, our babysitter is ill.
        identify  ai    I'm sorry. Under which name is the booking?
        identify  user  {name}, {people} people.
        confirm   ai    Found it: {people} people at {time}. Shall I cancel it, or move it to another evening?
        booking   user  Could we do {day} instead?
        booking   ai    {day} at {time} is free. I've moved it, there is no charge.
        closing   user  That was easy. Thank you so much.
        closing   ai    We hope everybody is well by then. Buona serata!
        """,
    ),
    Script(
        "harbor-lights-hotel",
        """
        greeting  ai    Harbor Lights Hotel, virtual front desk. Good day!
        inquiry   user  My flight is delayed, and I won't be there before one in the morning.
        identify  ai    No problem at all. What's your booking reference?
        identify  user  {ref}, the name is {name}.
        identify  ai    Thank you, {name}. Two nights, one room with a harbor view.
        inquiry   user  Right. Is anybody there that late?
        inquiry   ai    The night porter is. I've noted your arrival, so the room will be kept.
        inquiry   user  Can I still get something to eat?
        inquiry   ai    The kitchen closes at eleven, but the bar serves sandwiches and soup until two.
        confirm   user  Great. And breakfast is included, isn't it?
        confirm   ai    It is, from half past six. Late arrivals may have it until noon.
        closing   user  Excellent. See you tonight.
        closing   ai    Safe travels!
        """,
    ),
    Script(
        "harbor-lights-hotel",
        """
        greeting  ai    Harbor Lights Hotel, virtual front desk. Good day!
        inquiry   user  I stayed with you last week, and the invoice has the wrong company address.
        identify  ai    I can look it up. What's the invoice number?
        identify  user  {ref}.
        inquiry   ai    That's the stay of {name}, two nights. Which address should it show?
        inquiry   user  Our new office. But accounting also needs the tax number on it.
        inquiry   ai    I may change an address, but not tax details on an issued invoice.
        handover  ai    I'll connect you with the accounts team, who can issue a corrected one.
        handover  user  All right, I'll hold.
        """,
        "{name} needs a corrected invoice {ref}: new company address and tax number. Original has been issued, "
        "so it must be cancelled first.",
    ),
    Script(
        "northline-internet",
        """
        greeting  ai    Northline support, automated assistant speaking. What can I do for you?
        inquiry   user  My video calls keep freezing. It's been like that for days.
        identify  ai    Let's find out why. May I have your customer number?
        identify  user  {ref}.
        inquiry   ai    Thank you, {name}. Your line carries the full speed right now. Do you use Wi-Fi or a cable?
        inquiry   user  Wi-Fi, from the attic. The router is in the basement.
        inquiry   ai    Two floors weaken the signal a lot. Could you try once next to the router?
        inquiry   user  Hang on... yes, down here it's perfectly smooth.
        booking   ai    Then a repeater on the middle floor will help. We lend you one free for thirty days.
        booking   user  Yes please, send me one.
        confirm   ai    It will arrive on {day}. Plug it in, press the one button, that's all.
        closing   user  Brilliant, thanks for your patience.
        closing   ai    You're welcome. Goodbye!
        """,
    ),
    Script(
        "northline-internet",
        """
        greeting  ai    Northline support, automated assistant speaking. What can I do for you?
        inquiry   user  You've charged me for two months in a row at once!
        identify  ai    I'd like to check that with you. Your customer number, please?
        identify  user  {ref}. {name}.
        inquiry   ai    I see one payment on the first and another on the third. The second has no invoice.
        inquiry   user  So it is a mistake. I want my money back today.
        inquiry   ai    I agree that it looks wrong. A refund has to be approved by a colleague.
        handover  ai    I'm transferring you now, with everything you told me, so you needn't repeat it.
        handover  user  I hope so.
        """,
        "{name} ({ref}) was debited twice, on the 1st and the 3rd; the second has no invoice. Upset, expects a "
        "refund today. Looks justified.",
    ),
    Script(
        "ridgeview-city-hall",
        """
        greeting  ai    Ridgeview City Hall, information line. You're talking to an AI assistant.
        inquiry   user  Do I need a permit to build a garden shed?
        inquiry   ai    That depends on its size. How large is it going to be?
        inquiry   user  About eight feet by ten.
        inquiry   ai    Under 120 square feet you need none, if it stands five feet from the property line.
        inquiry   user  And if I want electricity in it?
        inquiry   ai    Then an electrical permit is required. It costs 45 dollars and takes about a week.
        confirm   user  Can I apply for that online?
        confirm   ai    Yes, under Permits, Electrical. A sketch from a licensed electrician is enough.
        closing   user  That's clearer than the website. Thanks.
        closing   ai    I'll pass that on. Have a good day.
        """,
    ),
    Script(
        "ridgeview-city-hall",
        """
        greeting  ai    Ridgeview City Hall, information line. You're talking to an AI assistant.
        inquiry   user  The street light outside my house has been out for two weeks.
        identify  ai    Thank you for reporting it. There's a number on the pole. Can you read it?
        identify  user  Yes, it says {ref}.
        inquiry   ai    Nobody has reported that one yet. Is it only this light, or several?
        inquiry   user  Just this one. It's very dark at the crossing, though.
        confirm   ai    I've marked it as urgent because of the crossing. A crew will come by {day}.
        closing   user  Will somebody tell me when it's done?
        closing   ai    I can send a text message to the number you're calling from.
        closing   user  Please do. The name is {name}.
        """,
    ),
    Script(
        "spoke-and-chain",
        """
        greeting  ai    Spoke & Chain bicycle workshop, AI assistant here.
        inquiry   user  Hey, is my bike ready? I left it with you on Monday.
        identify  ai    Let me check. What's the number on your ticket?
        identify  user  {ref}.
        inquiry   ai    The blue touring bike of {name}. New chain and cassette are on; the wheel is being trued.
        inquiry   user  So when can I have it?
        booking   ai    On {day}, from {time}.
        booking   user  Hm, I need it for a ride that morning. Any chance of getting it earlier?
        confirm   ai    I've asked the mechanic. It can be done the evening before; we close at seven.
        closing   user  You saved my weekend!
        closing   ai    Enjoy the ride.
        """,
    ),
    Script(
        "spoke-and-chain",
        """
        greeting  ai    Spoke & Chain bicycle workshop, AI assistant here.
        inquiry   user  How much is a full service for an e-bike?
        inquiry   ai    A full service is 129 dollars, plus parts. The battery check is included.
        inquiry   user  The display shows an error, E 21 or something like that.
        inquiry   ai    E21 is usually the speed sensor. That's a ten minute job, if it has only slipped.
        booking   user  All right, when could I bring it in?
        booking   ai    {day} at {time} is open.
        identify  user  Good. I'm {name}.
        confirm   ai    {day}, {time}, full service and error E21 for {name}. Please bring the charger.
        closing   user  Okay, see you then.
        closing   ai    See you!
        """,
    ),
)
