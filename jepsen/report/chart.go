package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
	"time"
)

// Size of the charts.
const (
	chartWidth  = 1000
	chartHeight = 180
	marginLeft  = 60
	marginRight = 10
	marginTop   = 14
	marginFoot  = 22
)

// chart draws values over the seconds of the run, with the faults shaded.
type chart struct {
	b       strings.Builder
	seconds int
	top     float64 // value at the upper end
	log     bool
}

func newChart(seconds int, top float64, log bool) *chart {
	c := &chart{seconds: max(seconds, 1), top: math.Max(top, 1), log: log}
	fmt.Fprintf(&c.b, `<svg viewBox="0 0 %d %d" role="img">`, chartWidth, chartHeight)
	return c
}

func (c *chart) x(second float64) float64 {
	return marginLeft + second/float64(c.seconds)*(chartWidth-marginLeft-marginRight)
}

// lowest is the value at the lower end of a logarithmic axis.
const lowest = 0.1

func (c *chart) y(v float64) float64 {
	part := v / c.top
	if c.log {
		part = math.Log(math.Max(v, lowest)/lowest) / math.Log(c.top/lowest)
	}
	return chartHeight - marginFoot - part*(chartHeight-marginTop-marginFoot)
}

// shade marks the time of a fault.
func (c *chart) shade(from, to time.Duration, class, title string) {
	left, right := c.x(from.Seconds()), c.x(to.Seconds())
	fmt.Fprintf(&c.b, `<rect class="%s" x="%.1f" y="%d" width="%.1f" height="%d"><title>%s</title></rect>`,
		class, left, marginTop, math.Max(right-left, 1.5), chartHeight-marginTop-marginFoot, html.EscapeString(title))
}

func (c *chart) axes(unit string, ticks []float64) {
	for _, t := range ticks {
		fmt.Fprintf(&c.b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`,
			marginLeft, chartWidth-marginRight, c.y(t), c.y(t), marginLeft-6, c.y(t)+4, t)
	}
	step := max(1, int(math.Ceil(float64(c.seconds)/12)))
	for s := 0; s <= c.seconds; s += step {
		fmt.Fprintf(&c.b, `<text x="%.1f" y="%d" text-anchor="middle">%d s</text>`, c.x(float64(s)), chartHeight-6, s)
	}
	fmt.Fprintf(&c.b, `<text x="%d" y="11">%s</text>`, marginLeft, html.EscapeString(unit))
}

// line draws one value per second. Seconds without a value (NaN) leave a gap.
func (c *chart) line(class string, values []float64) {
	pen := "M"
	var path strings.Builder
	for i, v := range values {
		if math.IsNaN(v) {
			pen = "M"
			continue
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", pen, c.x(float64(i)+0.5), c.y(v))
		if pen == "M" { // a value without neighbours is a dot
			path.WriteString("h0.1")
		}
		pen = "L"
	}
	fmt.Fprintf(&c.b, `<path class="%s" d="%s"/>`, class, path.String())
}

func (c *chart) done() template.HTML {
	c.b.WriteString("</svg>")
	return template.HTML(c.b.String()) // every text in it was escaped
}

// ticks are round numbers from 0 to top.
func ticks(top float64) []float64 {
	step := math.Pow(10, math.Floor(math.Log10(math.Max(top, 1))))
	for top/step < 3 {
		step /= 2
	}
	var out []float64
	for v := 0.0; v <= top; v += step {
		out = append(out, v)
	}
	return out
}

func (r *Report) shadeFaults(c *chart) {
	for _, e := range r.Events {
		title := fmt.Sprintf("%s: %s, %.1f s to %.1f s. %s", e.Fault, e.Detail, e.Start.Seconds(), e.End.Seconds(), e.Note)
		kind, _, _ := strings.Cut(e.Fault, "-")
		c.shade(e.Start, e.End, "f-"+kind, title)
	}
	if r.Recovery > 0 {
		c.shade(r.Healed, r.Healed+r.Recovery, "f-recovery", "recovery: until the cluster was whole")
	}
}

func (r *Report) throughput() template.HTML {
	top := 1.0
	ok, failed, doubt := make([]float64, len(r.Seconds)), make([]float64, len(r.Seconds)), make([]float64, len(r.Seconds))
	for i, s := range r.Seconds {
		ok[i], failed[i], doubt[i] = float64(s.OK), float64(s.Failed), float64(s.InDoubt)
		top = max(top, ok[i], failed[i], doubt[i])
	}
	c := newChart(len(r.Seconds), top, false)
	r.shadeFaults(c)
	c.axes("operations per second", ticks(top))
	c.line("ok", ok)
	c.line("failed", failed)
	c.line("doubt", doubt)
	return c.done()
}

func (r *Report) latency() template.HTML {
	top := 10.0
	var lines [3][]float64
	for _, s := range r.Seconds {
		for i, v := range []float64{s.Latency.P50, s.Latency.P99, s.Latency.Max} {
			if s.OK == 0 {
				v = math.NaN()
			}
			lines[i] = append(lines[i], v)
		}
		top = max(top, s.Latency.Max)
	}
	c := newChart(len(r.Seconds), math.Pow(10, math.Ceil(math.Log10(top))), true)
	r.shadeFaults(c)
	var marks []float64
	for v := lowest; v <= c.top; v *= 10 {
		marks = append(marks, v)
	}
	c.axes("latency of successes, ms: median, 99 %, maximum", marks)
	for i, class := range []string{"ok", "p99", "max"} {
		c.line(class, lines[i])
	}
	return c.done()
}
