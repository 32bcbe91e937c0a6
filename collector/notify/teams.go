package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// mostCauses bounds the lines of a card: a workflow takes 28 KB.
const mostCauses = 20

// block is a part of an Adaptive Card.
type block struct {
	Type    string `json:"type"`
	Text    string `json:"text,omitempty"`
	Size    string `json:"size,omitempty"`
	Weight  string `json:"weight,omitempty"`
	Wrap    bool   `json:"wrap,omitempty"`
	Spacing string `json:"spacing,omitempty"`
	Subtle  bool   `json:"isSubtle,omitempty"`
}

type action struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

type card struct {
	Schema  string   `json:"$schema"`
	Type    string   `json:"type"`
	Version string   `json:"version"`
	Body    []block  `json:"body"`
	Actions []action `json:"actions,omitempty"`
}

type attachment struct {
	ContentType string `json:"contentType"`
	Content     card   `json:"content"`
}

// teamsMessage is what a workflow "when a Teams webhook request is received"
// takes.
type teamsMessage struct {
	Type        string       `json:"type"`
	Attachments []attachment `json:"attachments"`
}

func sendTeams(ctx context.Context, settings Settings, c Channel, n Notice, zone *time.Location) error {
	body, err := json.Marshal(teamsCard(n, zone))
	if err != nil {
		return fmt.Errorf("write a card: %w", err)
	}
	return post(ctx, settings, c.Address, body, map[string]string{HeaderKey: n.ID})
}

func teamsCard(n Notice, zone *time.Location) teamsMessage {
	c := card{Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4"}
	add := func(b block) {
		b.Type, b.Wrap, b.Text = "TextBlock", true, markdown(b.Text)
		c.Body = append(c.Body, b)
	}
	add(block{Text: n.Subject(), Size: "Medium", Weight: "Bolder"})
	add(block{Text: moment(n.At, zone), Subtle: true, Spacing: "None"})
	lines, more := 0, 0
	for _, p := range n.Parts {
		add(block{Text: p.Name, Weight: "Bolder"})
		for _, cause := range p.Causes {
			if lines++; lines > mostCauses {
				more++
				continue
			}
			add(block{Text: cause.Headline(), Spacing: "Small"})
			add(block{Text: cause.Detail(zone), Subtle: true, Spacing: "None"})
		}
		if link := n.link(p); link != "" && len(c.Actions) < 5 {
			c.Actions = append(c.Actions, action{Type: "Action.OpenUrl", Title: "Open " + p.Name, URL: link})
		}
	}
	if more > 0 {
		add(block{Text: fmt.Sprintf("and %d more: see the pages", more)})
	}
	add(block{Text: "Notice " + n.ID, Subtle: true, Size: "Small"})
	return teamsMessage{Type: "message", Attachments: []attachment{{ContentType: "application/vnd.microsoft.card.adaptive", Content: c}}}
}

// markdown has a text be shown as it is: cards read a part of Markdown.
func markdown(text string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "`", "\\`", "<", "&lt;", "&", "&amp;", "#", `\#`).Replace(text)
}
